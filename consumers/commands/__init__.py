"""The commands of `consumers`, a module each, and what they have in common: execution.py, find_worker.py."""
