"""What a record takes that somebody remembers."""

from __future__ import annotations

from aiokafka import ConsumerRecord


def record_size(record: ConsumerRecord) -> int:
    """Bytes of its key, its value and its headers, of which one may hold a whole body."""
    size = len(record.key or b"") + len(record.value or b"")
    return size + sum(len(name) + len(value or b"") for name, value in record.headers)
