"""Commands that use, compare, explain and export trained models: one module each."""
