"""Commands that start, share, import and conclude studies: one module each."""
