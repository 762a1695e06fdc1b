"""What the project adds to aiokafka, shared by ingress and workers."""
