"""What the project brings for other machines. `python -m tests.deploy` brings helm and the rest, and tries the chart."""
