"""What runs the project elsewhere. `python -m tests.deploy` brings helm and the rest, and tries the chart."""
