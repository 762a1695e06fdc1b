"""What `bridge` can be told to do."""
