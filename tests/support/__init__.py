"""What tests of several folders share: simulated records, small data, servers, stand-ins. No test."""
