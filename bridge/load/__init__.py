"""Load as the platform makes it, for whoever wants to know what an ingress takes: `bridge load`."""
