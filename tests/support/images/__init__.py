"""Small and odd pictures for tests of data."""
