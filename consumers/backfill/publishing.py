"""Writes backfilled events to the topic, no faster than the settings allow, through outages of Kafka.

What is written together goes to several partitions, and one of them may take its part where another does not. So after
a failure the topic is read on, and only what is not on it is written again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from common.retry import retry
from consumers.backfill.identity import Key
from consumers.errors import TOO_LARGE, describe, is_passing
from consumers.worker import OutgoingRecord, RecordProducer

MAX_RECORDS = 500
MAX_BYTES = 1024 * 1024
"""So much is written at a time: what is confirmed together."""

ReportWait = Callable[[str | None], None]
"""Told what is waited for; None: for nothing any more."""


class MissingEvent(NamedTuple):
    """The record of an event that is not on the topic, and the key that the event's id is."""

    record: OutgoingRecord
    key: Key


FindMissing = Callable[[Sequence[MissingEvent]], Awaitable[list[MissingEvent]]]
"""Those of some events that are not on the topic, which is read on for it."""


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

    async def publish(self, events: Sequence[MissingEvent], find_missing: FindMissing) -> int:
        """Write events and wait for their confirmation; how many were written. The others are too large for the topic.

        While Kafka is away it waits, and writes those that are not there when it is back.

        Raises:
            whatever the producer or `find_missing` raises that waiting does not help.
        """
        written = 0
        for some in _portions(events):
            await self._pace(len(some))
            try:
                await self._write(some, find_missing)
                written += len(some)
            except TOO_LARGE:
                written += len(some) - await self._write_each(some, find_missing)
        return written

    async def _write_each(self, events: Sequence[MissingEvent], find_missing: FindMissing) -> int:
        """Write what is not there one by one; how many are too large."""
        too_large = 0
        left: list[MissingEvent] = []

        async def look() -> None:
            left[:] = await find_missing(events)

        await waiting(look, self._waits_for)
        for event in left:
            try:
                await self._write([event], find_missing)
            except TOO_LARGE:
                too_large += 1
        return too_large

    async def _write(self, events: Sequence[MissingEvent], find_missing: FindMissing) -> None:
        left, is_first = events, True

        async def attempt() -> None:
            nonlocal left, is_first
            if not is_first:
                left = await find_missing(left)
            is_first = False
            if left:
                await self._producer.publish(self._topic, [event.record for event in left])

        await waiting(attempt, self._waits_for)

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


def _portions(events: Sequence[MissingEvent]) -> list[list[MissingEvent]]:
    portions: list[list[MissingEvent]] = []
    size = 0
    for event in events:
        if not portions or len(portions[-1]) >= MAX_RECORDS or size + event.record.size > MAX_BYTES:
            portions.append([])
            size = 0
        portions[-1].append(event)
        size += event.record.size
    return portions
