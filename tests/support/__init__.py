"""What the tests drive the project with: real servers, the real commands, load, and the verdict on it."""
