"""Greetings: the slice to copy when you add a feature."""
