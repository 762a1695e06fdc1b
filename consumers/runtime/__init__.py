"""Runs workers: fetches, retries, gives up what cannot be handled, commits, stops."""
