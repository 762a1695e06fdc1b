"""Workers that are stopped in the midst of their work, for `consumers run` with this folder on its PYTHONPATH."""
