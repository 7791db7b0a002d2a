"""Simulated and small studies whose truth is known, and MLflow stores that hold them."""
