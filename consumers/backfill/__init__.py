"""Compares the platform's archive with the topic, and publishes the messages of which no event is there."""
