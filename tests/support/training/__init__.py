"""A training small enough for tests, and a user of saved models without Candor."""
