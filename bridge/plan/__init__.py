"""The arithmetic of scale: what a number of callbacks and users needs. `bridge plan` prints it."""
