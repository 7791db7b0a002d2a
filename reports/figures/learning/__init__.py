"""Figures of learning and overfitting: learning curves, accuracy against relative overfitting."""
