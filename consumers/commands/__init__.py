"""What `consumers` can be told to do."""
