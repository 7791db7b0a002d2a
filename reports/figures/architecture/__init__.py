"""Figures of the selected architecture: its block diagram."""
