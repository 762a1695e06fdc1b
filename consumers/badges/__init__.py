"""The first worker: the unread badge of each user."""
