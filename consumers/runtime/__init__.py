"""Runs workers: fetches, retries, sets aside, commits, stops."""
