"""Second step: the platform's body becomes events."""
