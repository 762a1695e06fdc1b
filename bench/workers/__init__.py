"""Other workers that keep badges, to measure ours beside."""
