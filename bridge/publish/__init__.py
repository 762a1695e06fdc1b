"""Fourth step: from the journal to Kafka."""
