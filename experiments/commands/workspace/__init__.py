"""Commands that look after data sets and the workspace: one module each."""
