"""The processes of an ingress: one that serves, or several under a supervisor."""
