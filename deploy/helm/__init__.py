"""The Helm chart, and what of it is generated: `python -m deploy.helm`."""
