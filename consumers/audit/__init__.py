"""Reads what is on the topics, and says whether all is there that the ingress processes have taken."""
