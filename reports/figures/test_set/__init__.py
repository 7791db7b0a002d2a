"""Figures of the test set: validation against test, duplicates across splits."""
