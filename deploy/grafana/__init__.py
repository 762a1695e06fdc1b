"""The dashboard for Grafana, written in Python."""
