"""What the project adds to aiokafka, shared by ingress and workers. Importing any of it mends all connections."""

from common.kafka.connection import mend_connections

mend_connections()
