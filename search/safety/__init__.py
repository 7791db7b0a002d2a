"""Checks on text and paths from outside: stores, files, class names, addresses. Used by every layer above."""
