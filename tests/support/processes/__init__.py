"""Command lines, servers, clusters and child bodies for tests."""
