"""Figures of what goes wrong: confusion matrices, recall, calibration, images, explanations."""
