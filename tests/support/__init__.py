"""What tests of several folders share: simulated studies, small data, small trainings, processes. No test."""
