"""The lock files, and what installs and makes them."""
