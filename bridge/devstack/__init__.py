"""The whole project on one machine, for trying it out."""
