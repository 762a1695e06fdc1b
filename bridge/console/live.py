"""Follows the topics once, for any number of browsers, and tells each what it wants to see.

Four times a second what has come is gone through, once for each different filter. Of more than a person can read, or
than there is time to look at, a sample is shown and the rest is counted: `left_out` (fits, is not shown) and `unseen`
(was not looked at). Memory is bounded by what is kept of each topic, whatever comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from bridge.console.hiding import Hiding
from bridge.console.live_filter import LiveFilter
from bridge.console.rows import PageRow, row_of
from bridge.console.viewer import MAX_BEHIND_BYTES, Viewer, sse
from common.kafka.clients import MakeClientArguments
from common.kafka.follower import Follower
from common.kafka.record_size import record_size

TICK_S = 0.25
ROWS_A_TICK = 25
FILTERING_S = 0.1
"""So much of a tick goes into looking through what has come, for all filters together."""
HISTORY_ROWS = 200
MAX_HISTORY_BYTES = MAX_BEHIND_BYTES // 2
MAX_ALL_BEHIND_BYTES = 64 * 1024 * 1024
"""So much may wait for all browsers together: those that are furthest behind are cut off first."""
MAX_KEPT = 4000
MAX_KEPT_BYTES = 16 * 1024 * 1024
MAX_PENDING = 10_000
RATE_OVER_TICKS = 8
MAX_VIEWERS = 500
LATEST_OF_PARTITION = 100

_encode = msgspec.json.Encoder().encode


class Tick(msgspec.Struct):
    """What a browser is told at once."""

    rows: list[PageRow]
    per_s: float
    """Records of all kinds that come now."""
    left_out: int = 0
    """Of what the viewer wants, how much is not among the rows."""
    unseen: int = 0
    """How many were not looked at: too many for the time that there is."""
    problem: str = ""
    """Why Kafka cannot be read."""
    missing: list[str] = []
    """Topics that do not exist yet."""


class KeptRecord(NamedTuple):
    """A record that is remembered."""

    seen_ms: int
    """When it was read from Kafka, Unix time."""
    record: ConsumerRecord


class TooManyViewersError(Exception):
    """No more browsers can follow. The message is for people."""


class Live:
    """What comes in, for the viewers; `run` has to be running.

    Args:
        make_arguments: of a client of Kafka.
        topics: names.
        hiding: what is not shown.
        badges_topic: which of the topics has the badges.
    """

    def __init__(
        self, make_arguments: MakeClientArguments, topics: Sequence[str], hiding: Hiding, *, badges_topic: str
    ) -> None:
        self.topics = list(topics)
        self.hiding = hiding
        self.badges_topic = badges_topic
        self.viewers: set[Viewer] = set()
        self.counts = dict.fromkeys(topics, 0)
        """Records that came, by topic."""
        self._follower = Follower(
            make_arguments, topics, from_beginning=False, report=lambda _: None, latest=LATEST_OF_PARTITION
        )
        self._kept: dict[str, deque[KeptRecord]] = {topic: deque() for topic in topics}
        self._kept_bytes = dict.fromkeys(topics, 0)
        self._pending: list[ConsumerRecord] = []
        self._skipped = 0
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=RATE_OVER_TICKS)

    @property
    def problem(self) -> str:
        """Why Kafka cannot be read now; empty while it can."""
        return self._follower.problem or ""

    async def run(self) -> None:
        """Follow the topics. Ends never."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._tell())

    def join(self, viewer: Viewer) -> None:
        """Tell a viewer what is there, and from now on what comes.

        Raises:
            TooManyViewersError: there are too many.
        """
        if len(self.viewers) >= MAX_VIEWERS:
            raise TooManyViewersError(f"{MAX_VIEWERS} browsers follow already: close some")
        viewer.push(self._message(self._history(viewer.chosen)))
        self.viewers.add(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Tell a viewer nothing more."""
        self.viewers.discard(viewer)

    def find(self, topic: str, partition: int, offset: int) -> KeptRecord | None:
        """A record that came lately; None where it is not remembered."""
        place = (offset, partition)
        return next(
            (one for one in reversed(self.kept(topic)) if (one.record.offset, one.record.partition) == place), None
        )

    def kept(self, topic: str) -> Sequence[KeptRecord]:
        """What is remembered of a topic, in the order in which it came."""
        return self._kept.get(topic, ())

    async def _follow(self) -> None:
        async with contextlib.aclosing(self._follower.batches()) as all_batches:
            async for batches in all_batches:
                for partition, batch in batches.items():
                    self.counts[partition.topic] += len(batch)
                    self._keep(partition.topic, batch)
                    room = MAX_PENDING - len(self._pending)
                    self._pending += batch[:room]
                    self._skipped += max(0, len(batch) - room)
                await asyncio.sleep(0)

    def _keep(self, topic: str, batch: Sequence[ConsumerRecord]) -> None:
        kept, size = self._kept[topic], self._kept_bytes[topic]
        seen_ms = int(time.time() * 1000)
        for record in batch:
            kept.append(KeptRecord(seen_ms, record))
            size += record_size(record)
        while len(kept) > MAX_KEPT or size > MAX_KEPT_BYTES:
            size -= record_size(kept.popleft().record)
        self._kept_bytes[topic] = size

    async def _tell(self) -> None:
        was_quiet = False
        self._arrivals.append((time.monotonic(), 0))
        while True:
            await asyncio.sleep(TICK_S)
            records, self._pending = self._pending, []
            skipped, self._skipped = self._skipped, 0
            self._arrivals.append((time.monotonic(), len(records) + skipped))
            is_quiet = not (records or skipped) and not self.per_s
            if not (is_quiet and was_quiet) or self.problem:
                self._tell_all(records, skipped)
            was_quiet = is_quiet and not self.problem

    @property
    def per_s(self) -> float:
        """Records that come in a second, of all topics."""
        if len(self._arrivals) < 2:
            return 0.0
        span = self._arrivals[-1][0] - self._arrivals[0][0]
        return round(sum(count for _, count in list(self._arrivals)[1:]) / span, 1) if span else 0.0

    def _tell_all(self, records: list[ConsumerRecord], skipped: int) -> None:
        if not self.viewers:
            return
        groups: dict[LiveFilter, list[Viewer]] = {}
        for viewer in self.viewers:
            groups.setdefault(viewer.chosen, []).append(viewer)
        # By their times, as they would be read; those of a partition stay in their order.
        records.sort(key=lambda record: int(record.timestamp))
        share_s = FILTERING_S / max(1, len(groups))
        for chosen, viewers in groups.items():
            message = self._message(self._tick(chosen, records, skipped, within_s=share_s))
            for viewer in viewers:
                viewer.push(message)
        self._cut_off()

    def _cut_off(self) -> None:
        behind_bytes = sum(viewer.behind_bytes for viewer in self.viewers)
        if behind_bytes > MAX_ALL_BEHIND_BYTES:
            for viewer in sorted(self.viewers, key=lambda one: one.behind_bytes, reverse=True):
                behind_bytes -= viewer.behind_bytes
                viewer.drop()
                if behind_bytes <= MAX_ALL_BEHIND_BYTES // 2:
                    break

    def _tick(self, chosen: LiveFilter, records: Sequence[ConsumerRecord], skipped: int, *, within_s: float) -> Tick:
        tick = Tick([], self.per_s, unseen=skipped, problem=self.problem, missing=sorted(self._follower.missing))
        if chosen.admits_all:
            shown = records[-ROWS_A_TICK:]
            tick.left_out = len(records) - len(shown)
        else:
            fitting: list[ConsumerRecord] = []
            until = time.monotonic() + within_s
            for number, record in enumerate(records):
                if time.monotonic() > until:
                    tick.unseen += len(records) - number
                    break
                if chosen.admits(record, self.hiding):
                    fitting.append(record)
            shown = fitting[-ROWS_A_TICK:]
            tick.left_out = len(fitting) - len(shown)
        tick.rows = [row_of(record, self.hiding) for record in shown]
        return tick

    def _history(self, chosen: LiveFilter) -> Tick:
        everything = [one.record for kept in self._kept.values() for one in kept]
        everything.sort(key=lambda record: int(record.timestamp))
        until = time.monotonic() + FILTERING_S
        rows: list[PageRow] = []
        room = MAX_HISTORY_BYTES
        for record in reversed(everything):
            if len(rows) >= HISTORY_ROWS or room < 0 or time.monotonic() > until:
                break
            if chosen.admits_all or chosen.admits(record, self.hiding):
                rows.append(row_of(record, self.hiding))
                room -= len(_encode(rows[-1]))
        return Tick(rows[::-1], self.per_s, problem=self.problem, missing=sorted(self._follower.missing))

    @staticmethod
    def _message(tick: Tick) -> bytes:
        return sse("tick", _encode(tick))
