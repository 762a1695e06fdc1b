"""Asks the platform for the counts that no event told."""
