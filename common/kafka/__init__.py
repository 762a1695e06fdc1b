"""What the project adds to aiokafka, shared by ingress and workers. Importing any of it mends all connections, and has
all consumers check what they fetch by the processor's own instruction."""

from common.kafka.checked_records import keep_what_is_fetched
from common.kafka.connection import mend_connections

keep_what_is_fetched()
mend_connections()
