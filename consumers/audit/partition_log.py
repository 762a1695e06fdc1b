"""What the auditor knows of a partition: how far it has read, and what the log has lost of its beginning or its end.

A log loses its beginning by retention, and by whoever deletes records or a segment. Nothing in Kafka says which it was.
They are told apart by age: retention takes no record that is younger than `retention.ms`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

import msgspec

MAX_SAMPLES = 64
MAX_JUMPS = 8
SAMPLE_EVERY_MS = 1000
SAMPLE_EVERY_RECORDS = 1000


class Retention(NamedTuple):
    """What of a topic's configuration takes records away; -1 = nothing does."""

    time_ms: int
    size_bytes: int

    def may_have_taken(self, record_ms: int, now_ms: int) -> bool:
        """Whether it can have taken a record of that time by now."""
        return self.size_bytes >= 0 or (self.time_ms >= 0 and record_ms < now_ms - self.time_ms)


class Jump(msgspec.Struct):
    """Offsets that were gone before the auditor had read them."""

    first: int
    end: int
    """Behind the last one."""
    noticed_ms: int
    retention: Retention
    is_initial: bool
    """Whether the auditor had just begun."""
    before_ms: int
    """When the last record before them was received; 0 where none was read."""
    after_ms: int
    """No record that is gone is younger, but for some of a backlog: the time of the first that is still there."""
    unexplained: int
    """How many of its records no gap has been found for yet."""

    @property
    def is_early(self) -> bool:
        """Whether retention cannot have taken even the oldest of them."""
        return self.before_ms > 0 and not self.retention.may_have_taken(self.before_ms, self.noticed_ms)


class LostPart(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets that were read, and are gone though retention cannot have taken them."""

    topic: str
    partition: int
    first: int
    end: int
    """Behind the last one."""
    after_ms: int | None
    """When the last record before them that is remembered was received; None where none is."""
    before_ms: int | None
    """When the next one behind them was received that is remembered; None where none is."""
    noticed_ms: int
    is_end: bool
    """Whether the end of the log was lost, and not its beginning."""

    @property
    def count(self) -> int:
        """How many records."""
        return self.end - self.first


class PartitionLog(msgspec.Struct):
    """One partition."""

    topic: str
    partition: int
    begin: int = 0
    """Of the log, as it was last seen."""
    position: int = 0
    """What is read next."""
    last_offset: int = -1
    """Of the record that was read last; -1 before the first."""
    last_ms: int = 0
    """When that record was received."""
    samples: list[tuple[int, int]] = []
    """Some of the records that were read, offset and time, ascending: the later, the closer to each other."""
    jumps: list[Jump] = []

    def read(self, first: tuple[int, int], last: tuple[int, int]) -> None:
        """Note that records were read: offset of the first and the last of them, and when each was received."""
        if self.jumps and self.jumps[-1].end > self.last_offset:
            self.jumps[-1].after_ms = min(self.jumps[-1].after_ms, first[1])
        if self._is_worth_a_sample(*first):
            self.samples.append(first)
            if len(self.samples) > MAX_SAMPLES:
                del self.samples[1 : MAX_SAMPLES // 2 : 2]
        self.last_offset, self.last_ms = last
        self.position = self.last_offset + 1

    def begins_at(self, begin: int, retention: Retention, now_ms: int, *, is_initial: bool) -> LostPart | None:
        """Note where the log begins now.

        Returns:
            what was read and is gone before its time.
        """
        before, self.begin = self.begin, begin
        if begin > self.position:
            gone = begin - self.position
            self.jumps.append(Jump(self.position, begin, now_ms, retention, is_initial, self.last_ms, now_ms, gone))
            if len(self.jumps) > MAX_JUMPS:
                self._merge_jumps()
        lost = self._gone_early(before, min(begin, self.position), retention, now_ms) if not is_initial else None
        self.position = max(begin, self.position)
        del self.samples[: max(0, bisect_left(self.samples, (begin, 0)) - 1)]
        return lost

    def ends_at(self, end: int, now_ms: int) -> LostPart | None:
        """Note where the log ends now.

        Returns:
            what was read and is gone, where it ends before what was read.
        """
        if end >= self.position:
            return None
        at = bisect_left(self.samples, (end, 0))
        lost = LostPart(
            topic=self.topic,
            partition=self.partition,
            first=max(end, self.begin),  # What was before the beginning was gone already.
            end=self.position,
            after_ms=self.samples[at - 1][1] if at else None,
            before_ms=self.last_ms,
            noticed_ms=now_ms,
            is_end=True,
        )
        del self.samples[at:]
        self.position = end
        self.last_offset, self.last_ms = -1, 0
        if self.samples:
            self.last_offset, self.last_ms = self.samples[-1]
        else:  # All that was read is gone, so nothing of what is there now was read: the topic was made anew.
            self.begin = self.position = 0
        return lost if lost.count > 0 else None

    def begin_anew(self) -> None:
        """Forget what was read: the topic was made anew under its name."""
        self.begin, self.position, self.last_offset, self.last_ms = 0, 0, -1, 0
        self.samples, self.jumps = [], []

    def _is_worth_a_sample(self, offset: int, time_ms: int) -> bool:
        if not self.samples:
            return True
        last_offset, last_ms = self.samples[-1]
        return time_ms >= last_ms + SAMPLE_EVERY_MS or offset >= last_offset + SAMPLE_EVERY_RECORDS

    def _gone_early(self, first: int, end: int, retention: Retention, now_ms: int) -> LostPart | None:
        """What was read from `first` to before `end`, if retention cannot have taken it."""
        at = bisect_left(self.samples, (end, 0))
        if first >= end or not at or retention.may_have_taken(self.samples[at - 1][1], now_ms):
            return None
        oldest = max(0, bisect_left(self.samples, (first + 1, 0)) - 1)
        return LostPart(
            topic=self.topic,
            partition=self.partition,
            first=first,
            end=end,
            after_ms=self.samples[oldest][1],
            before_ms=self.samples[at][1] if at < len(self.samples) else self.last_ms,
            noticed_ms=now_ms,
            is_end=False,
        )

    def _merge_jumps(self) -> None:
        older, newer = self.jumps[1], self.jumps[2]
        newer.first = older.first
        newer.unexplained += older.unexplained
        del self.jumps[1]


def explaining_jumps(logs: list[PartitionLog], after_ms: int) -> list[Jump]:
    """The jumps in which records may have been that retention can have taken.

    Args:
        logs: of the partitions of the topic.
        after_ms: the records were received then, or later.
    """
    return [
        jump
        for log in logs
        for jump in log.jumps
        if after_ms <= jump.after_ms and jump.unexplained and jump.retention.may_have_taken(after_ms, jump.noticed_ms)
    ]
