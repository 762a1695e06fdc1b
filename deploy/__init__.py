"""What is deployed beside the programs, and what makes it: `python -m deploy`."""
