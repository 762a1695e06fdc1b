"""When a record was made, in the form that people read."""

from __future__ import annotations

from aiokafka import ConsumerRecord

from common.timestamps import rfc3339


def record_time(record: ConsumerRecord) -> str:
    """When the bridge received it, or who wrote the record did, RFC 3339 in UTC.

    Empty for a record without a time (-1), which the bridge writes where Kafka takes no record with that of a clock
    that is wrong, and for a time that there cannot be.
    """
    try:
        return rfc3339(int(record.timestamp)) if record.timestamp >= 0 else ""
    except OverflowError:
        return ""
