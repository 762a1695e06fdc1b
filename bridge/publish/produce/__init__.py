"""Batches, sequence numbers and Produce requests: one request a leader for what leaves together, and its answer.

aiokafka keeps connections, credentials, what is known of leaders, and the producer's id (`common.kafka`); its builder
makes the bytes of a batch. The rest is here, since its accumulator and its sender cost more than all that a callback
needs besides.
"""
