"""All that touches Kafka's client, shared by ingress and workers."""
