"""Writes backfilled events to the topic, no faster than the settings allow, through outages of Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from common.retry import retry
from consumers.errors import TOO_LARGE, describe, is_passing
from consumers.worker import OutgoingRecord, RecordProducer

MAX_RECORDS = 500
MAX_BYTES = 1024 * 1024
"""So much is written at a time: what is confirmed together."""

ReportWait = Callable[[str | None], None]
"""Told what is waited for; None: for nothing any more."""


class BackfillPublisher:
    """Writes records in their order.

    Args:
        producer: writes them.
        topic: of the events.
        events_per_s: the pace, in the long run and from the beginning.
        waits_for: told while Kafka is away.
    """

    def __init__(self, producer: RecordProducer, topic: str, *, events_per_s: float, waits_for: ReportWait) -> None:
        self._producer = producer
        self._topic = topic
        self._event_s = 1 / events_per_s
        self._waits_for = waits_for
        self._due = 0.0

    async def publish(self, records: Sequence[OutgoingRecord]) -> int:
        """Write records and wait for their confirmation; how many were written. The others are too large for the topic.

        While Kafka is away it waits, and writes those again that were not confirmed: they may be there twice then.

        Raises:
            whatever the producer raises that waiting does not help.
        """
        written = 0
        for some in _portions(records):
            await self._pace(len(some))
            try:
                await self._write(some)
                written += len(some)
            except TOO_LARGE:
                written += await self._write_each(some)
        return written

    async def _write_each(self, records: Sequence[OutgoingRecord]) -> int:
        written = 0
        for record in records:
            try:
                await self._write([record])
                written += 1
            except TOO_LARGE:
                continue
        return written

    async def _write(self, records: Sequence[OutgoingRecord]) -> None:
        try:
            await retry(
                lambda: self._producer.publish(self._topic, records),
                on=is_passing,
                report=lambda error: self._waits_for(describe(error)),
            )
        finally:
            self._waits_for(None)

    async def _pace(self, count: int) -> None:
        now = time.monotonic()
        start = max(self._due, now)
        self._due = start + count * self._event_s
        await asyncio.sleep(start - now)


async def waiting(action: Callable[[], Awaitable[None]], waits_for: ReportWait) -> None:
    """Do something again until nothing that passes by itself is in its way.

    Raises:
        whatever `action` raises that waiting does not help.
    """
    try:
        await retry(action, on=is_passing, report=lambda error: waits_for(describe(error)))
    finally:
        waits_for(None)


def _portions(records: Sequence[OutgoingRecord]) -> list[list[OutgoingRecord]]:
    portions: list[list[OutgoingRecord]] = []
    size = 0
    for record in records:
        if not portions or len(portions[-1]) >= MAX_RECORDS or size + record.size > MAX_BYTES:
            portions.append([])
            size = 0
        portions[-1].append(record)
        size += record.size
    return portions
