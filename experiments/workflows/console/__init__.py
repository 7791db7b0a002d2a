"""What a person sees: progress on a terminal or in a notebook, printed predictions."""
