"""Figures of how the search went: best score by trial, importance, influence, trade-off."""
