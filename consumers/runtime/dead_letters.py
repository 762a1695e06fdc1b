"""Writes the events that a worker cannot handle to the dead-letter topic.

A dead letter is the record as it was (key, value, headers) with these headers added:

| header | value |
| --- | --- |
| `reason` | `not_an_event` or `handler_failed` |
| `detail` | the error in one line |
| `group` | consumer group that gave it up |
| `attempts` | how often that event alone was tried |
| `traceback-hash` | equal for dead letters of one fault |
| `original-topic`, `original-partition`, `original-offset`, `original-timestamp` | where it is; ms |
| `value-omitted` | `true` where the record was too large for them; value and headers above 1 KiB are left out |
"""

from __future__ import annotations

import logging

from aiokafka import ConsumerRecord

from consumers.errors import TOO_LARGE, describe, traceback_hash
from consumers.metrics import DeadLetterReason, Metrics
from consumers.worker import OutgoingRecord, RecordProducer

ADDED_HEADERS = frozenset(
    {
        "reason",
        "detail",
        "group",
        "attempts",
        "traceback-hash",
        "original-topic",
        "original-partition",
        "original-offset",
        "original-timestamp",
        "value-omitted",
    }
)
"""Names of those headers: whoever reads a dead letter takes them off again."""

log = logging.getLogger(__name__)

_LARGE_HEADER_BYTES = 1024


class DeadLetters:
    """Writes to the dead-letter topic for one consumer group."""

    def __init__(self, producer: RecordProducer, metrics: Metrics, *, topic: str, group: str) -> None:
        self._producer = producer
        self._metrics = metrics
        self._topic = topic
        self._group = group

    async def publish(self, source: ConsumerRecord, error: Exception, reason: DeadLetterReason, attempts: int) -> None:
        """Write a dead letter and wait until it is confirmed.

        Args:
            source: the record that is given up.
            error: what its handling, or reading, raised last.
            reason: why it is given up.
            attempts: how often it alone was tried.

        Raises:
            RetryLater: Kafka is away.
        """
        headers = [
            *source.headers,
            ("reason", reason.encode()),
            ("detail", describe(error).encode(errors="replace")),
            ("group", self._group.encode()),
            ("attempts", b"%d" % attempts),
            ("traceback-hash", traceback_hash(error).encode()),
            ("original-topic", source.topic.encode()),
            ("original-partition", b"%d" % source.partition),
            ("original-offset", b"%d" % source.offset),
            ("original-timestamp", b"%d" % source.timestamp),
        ]
        key = source.key or b""
        try:
            await self._producer.publish(self._topic, [OutgoingRecord(key, source.value or b"", headers)])
        except TOO_LARGE:
            kept = [(name, value) for name, value in headers if len(value) <= _LARGE_HEADER_BYTES]
            await self._producer.publish(self._topic, [OutgoingRecord(key, b"", [*kept, ("value-omitted", b"true")])])
        self._metrics.dead_lettered(reason)
        log.error(
            "gave up %s-%d offset %d after %d attempts, it is on %s now: %s",
            source.topic,
            source.partition,
            source.offset,
            attempts,
            self._topic,
            describe(error),
        )
