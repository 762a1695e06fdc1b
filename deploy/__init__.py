"""What runs the project elsewhere: a proxy's configuration, a Helm chart, and what keeps them up to date."""
