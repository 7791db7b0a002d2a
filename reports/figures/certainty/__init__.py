"""Figures of how sure one can be: the forest plot, the ROPE plot, seeds, effects of a grid's factors."""
