"""Procedurally drawn faces: chance, expressions, drawing, photograph."""
