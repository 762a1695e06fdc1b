"""Writes the events that a worker cannot handle to the dead-letter topic.

A dead letter is the record as it was (key, value, headers) with these headers added:

| header | value |
| --- | --- |
| `reason` | `not_an_event` or `handler_failed` |
| `detail` | the error in one line |
| `group` | consumer group that gave it up |
| `attempts` | how often that event alone was tried |
| `traceback` | of the error, 8 KiB at most; not where the error says all by itself |
| `traceback-hash` | equal for dead letters of one fault |
| `original-topic`, `original-partition`, `original-offset`, `original-timestamp` | where it is; ms |
| `value-omitted` | `true` where the record was too large for them; value and headers above 1 KiB are left out |
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiokafka import ConsumerRecord

from bridge.events import InvalidEventError
from common.logs import fields
from common.tracing.context import context_of
from consumers.errors import TOO_LARGE, PoisonError, describe, traceback_hash, traceback_text
from consumers.metrics import DeadLetterReason, Metrics
from consumers.worker import OutgoingRecord, RecordProducer

ADDED_HEADERS = frozenset(
    {
        "reason",
        "detail",
        "group",
        "attempts",
        "traceback",
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
_MAX_TOLD_FAULTS = 1000
_SAYS_ALL = (InvalidEventError, PoisonError)


class DeadLetters:
    """Writes to the dead-letter topic for one consumer group."""

    def __init__(self, producer: RecordProducer, metrics: Metrics, *, topic: str, group: str) -> None:
        self._producer = producer
        self._metrics = metrics
        self._topic = topic
        self._group = group
        self._told_faults: set[str] = set()
        """Hashes of the tracebacks that were logged."""

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
        fault = traceback_hash(error)
        says_all = isinstance(error, _SAYS_ALL)
        of_fault = [] if says_all else [("traceback", traceback_text(error).encode())]
        headers = [
            *source.headers,
            ("reason", reason.encode()),
            ("detail", describe(error).encode(errors="replace")),
            ("group", self._group.encode()),
            ("attempts", b"%d" % attempts),
            *of_fault,
            ("traceback-hash", fault.encode()),
            ("original-topic", source.topic.encode()),
            ("original-partition", b"%d" % source.partition),
            ("original-offset", b"%d" % source.offset),
            ("original-timestamp", b"%d" % source.timestamp),
        ]
        await self._publish_as_it_fits(source, headers)
        self._metrics.dead_lettered(reason)
        log.error(
            "gave up %s-%d offset %d after %d attempts, it is on %s now: %s",
            source.topic,
            source.partition,
            source.offset,
            attempts,
            self._topic,
            describe(error),
            exc_info=None if says_all or not self._is_new(fault) else error,
            extra=fields(
                "dead_letter",
                reason=reason,
                group=self._group,
                topic=source.topic,
                partition=source.partition,
                offset=source.offset,
                attempts=attempts,
                trace_id=None if (context := context_of(source.headers)) is None else context.trace_id,
            ),
        )

    async def _publish_as_it_fits(self, source: ConsumerRecord, headers: Sequence[tuple[str, bytes]]) -> None:
        """Write the letter whole, or without the traceback, or without what is large, its value first of all."""
        key, value = source.key or b"", source.value or b""
        short = [one for one in headers if one[0] != "traceback"]
        small = [(name, content) for name, content in short if len(content or b"") <= _LARGE_HEADER_BYTES]
        for record in (OutgoingRecord(key, value, headers), OutgoingRecord(key, value, short)):
            try:
                await self._producer.publish(self._topic, [record])
            except TOO_LARGE:
                continue
            return
        await self._producer.publish(self._topic, [OutgoingRecord(key, b"", [*small, ("value-omitted", b"true")])])

    def _is_new(self, fault: str) -> bool:
        if len(self._told_faults) >= _MAX_TOLD_FAULTS:
            self._told_faults.clear()
        is_new = fault not in self._told_faults
        self._told_faults.add(fault)
        return is_new
