"""A bridge that is broken: with this folder on its PYTHONPATH it confirms records that it has not sent."""
