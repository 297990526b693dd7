"""Public preference sets: one module for each, and where their files come from."""
