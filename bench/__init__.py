"""`make bench` and `make soak`: what a callback costs, beside what it would cost in a simpler server."""
