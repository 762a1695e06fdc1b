"""`make torture`: hurts everything at random from a seed, under load, and compares replies, topic and badges."""
