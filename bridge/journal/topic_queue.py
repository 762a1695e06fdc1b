"""The records of one topic that Kafka has not confirmed yet, in order, as a publisher leases them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec

from bridge.journal.groups import Group, GroupState, drop_complete
from bridge.journal.journal_file import JournalFile
from bridge.journal.numbering import number_of
from bridge.journal.store import Row, is_damaged
from bridge.journal.writer import FileThread
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

READ_AGAIN_S = 1.0
REPORT_INTERVAL_S = 60.0
ONE_BY_ONE_ROWS = 200
"""So many rows of a damaged file are looked for at a time: replies that wait for a sync wait for them."""
NAMED_ROWS = 20
READS = 16
"""In how many parts a read-ahead is read: replies that wait for a sync wait for the one under way."""


@dataclass
class Range:
    """Rows of a file that are not in memory: `after` < sequence number <= `through`."""

    file: JournalFile
    after: int
    through: int
    oldest_ms: int
    """When the first of its records was received, or a moment before, Unix milliseconds."""
    first_number: int = 0
    """The number of the first of its records; 0 where another process gave them, or none."""


class FoundInFile(NamedTuple):
    """What was read of a range."""

    groups: list[Group]
    unreadable: list[tuple[int, str]]
    """Sequence numbers of rows that are there and damaged, and what is wrong with them."""
    through: int
    """The sequence number up to which all was read."""


class TopicQueue:
    """Hands groups out in order, each once, and keeps those in memory that have to be.

    What holds at all times:

    - The backlog comes before what is live, and both are in the order of `offer`. The backlog has synced groups, and
      ranges in the place of groups that the disk holds and memory does not. What is live has groups whose records
      memory must hold, since the disk does not hold them for good.
    - Of the backlog no more than `read_ahead_bytes` are in memory. As much again may be leased; then `lease` gives
      nothing until Kafka has confirmed some of it.

    Args:
        topic: of all its records.
        read_ahead_bytes: how much of a backlog may be in memory, and how much may be leased.
        thread: where files are read.
        on_available: called with the queue when there is something to lease, and with whether it is live.
    """

    def __init__(
        self, topic: str, read_ahead_bytes: int, thread: FileThread, on_available: Callable[[TopicQueue, bool], None]
    ) -> None:
        self.topic = topic
        self._read_ahead_bytes = read_ahead_bytes
        self._thread = thread
        self._on_available = on_available
        self._backlog: deque[Group | Range] = deque()
        self._backlog_bytes = 0
        """Of its groups, which are in memory."""
        self._live: deque[Group] = deque()
        self._leased_bytes = 0
        self._leased: deque[Group] = deque()
        self._throttle = Throttle(REPORT_INTERVAL_S)

    @property
    def is_drained(self) -> bool:
        """Whether Kafka has confirmed everything."""
        return not (self._backlog or self._live or self._leased_bytes)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record here was received that nobody has leased, Unix milliseconds; None: there is none."""
        heads = [waiting[0] for waiting in (self._backlog, self._live) if waiting]
        return min((received_ms(head) for head in heads), default=None)

    @property
    def first_number(self) -> int:
        """The lowest number of this process that Kafka has not confirmed, or of its group; 0: there is none.

        Groups are leased in the order of `offer`, so the first of each that has a number has the lowest.
        """
        places = (self._leased, self._backlog, self._live)
        found = (next((one.first_number for one in place if one.first_number), 0) for place in places)
        return min((number for number in found if number), default=0)

    def inherit(self, file: JournalFile, through: int, oldest_ms: int) -> None:
        """Put the rows of a predecessor's file, up to a sequence number, behind the backlog that is here.

        Args:
            file: which has them.
            through: the last of their sequence numbers.
            oldest_ms: when the first of them was stored, Unix milliseconds.
        """
        self._backlog.append(Range(file, 0, through, oldest_ms))
        self._on_available(self, False)

    def offer(self, group: Group) -> None:
        """Put a group behind all that is here."""
        self._live.append(group)
        self._on_available(self, True)

    def synced(self, group: Group) -> None:
        """The disk holds a group, the oldest of its state: unless it is leased, memory keeps it as read-ahead only."""
        if not (self._live and self._live[0] is group):
            return
        self._live.popleft()
        assert group.file is not None
        if self._backlog_bytes + group.memory_bytes <= self._read_ahead_bytes:
            self._backlog.append(group)
            self._backlog_bytes += group.memory_bytes
            return
        oldest_ms = received_ms(group)
        group.forget_records()
        last = self._backlog[-1] if self._backlog else None
        if isinstance(last, Range) and last.file is group.file:
            last.through = group.seq
        else:
            self._backlog.append(Range(group.file, group.seq - 1, group.seq, oldest_ms, group.first_number))

    def confirmed(self, group: Group) -> None:
        """Kafka has confirmed all of a group that was leased."""
        self._leased_bytes -= group.memory_bytes
        drop_complete(self._leased)

    async def lease(self) -> Group | None:
        """The next group, to be sent until it is confirmed; None where nothing waits, or enough is leased already."""
        if self._leased_bytes >= self._read_ahead_bytes:
            return None
        while self._backlog and isinstance(self._backlog[0], Range):
            await self._read(self._backlog[0])
        if self._backlog:
            group = self._backlog.popleft()
            assert isinstance(group, Group)
            self._backlog_bytes -= group.memory_bytes
        elif self._live:
            group = self._live.popleft()
        else:
            return None
        assert group.state is not GroupState.COMPLETE
        self._leased_bytes += group.memory_bytes
        self._leased.append(group)
        return group

    async def _read(self, rows: Range) -> None:
        """Replace the range at the head by its first groups and what remains of it."""
        through = rows.through  # It may grow while we read.
        try:
            found = await self._thread.call(lambda: self._found_in(rows, through))
        except sqlite3.OperationalError as error:  # The disk fails, and may be well again.
            if self._throttle.admits(str(error)):
                log.error(
                    "the journal %s cannot be read now (%s); it is tried again",
                    rows.file.path,
                    error,
                    extra=fields("journals_unreadable", journal=rows.file.path.name, reason=str(error)),
                )
            await asyncio.sleep(READ_AGAIN_S)
            return
        if found.unreadable:
            log.error(
                "the journal %s cannot be read any more in places: %d groups of events of %s stay in the file, which is"
                " kept, and those behind them are published. Their rows are %s (%s)",
                *(rows.file.path, len(found.unreadable), self.topic),
                *(", ".join(str(seq) for seq, _ in found.unreadable[:NAMED_ROWS]), found.unreadable[0][1]),
                extra=fields("journal_damaged", journal=rows.file.path.name, topic=self.topic),
            )
        rows.after = found.through
        if found.groups:  # What is left came behind them.
            rows.oldest_ms = received_ms(found.groups[-1])
            if rows.first_number:
                rows.first_number = _number_again(found.groups)
        if rows.after >= rows.through:
            self._backlog.popleft()
        self._backlog.extendleft(reversed(found.groups))
        self._backlog_bytes += sum(group.memory_bytes for group in found.groups)

    def _found_in(self, rows: Range, through: int) -> FoundInFile:
        read = partial(rows.file.store.read, self.topic, max_bytes=self._read_ahead_bytes // READS)
        try:
            found = read(rows.after, through)
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise
            return self._found_one_by_one(rows, through)
        groups, unreadable = _decoded(found, rows.file)
        return FoundInFile(groups, unreadable, found[-1].seq if found else through)

    def _found_one_by_one(self, rows: Range, through: int) -> FoundInFile:
        """What can be read of a file that is damaged in places, row by row."""
        last = min(through, rows.after + ONE_BY_ONE_ROWS)
        groups: list[Group] = []
        unreadable: list[tuple[int, str]] = []
        for seq in range(rows.after + 1, last + 1):
            try:
                found = rows.file.store.read(self.topic, seq - 1, seq, 1)
            except sqlite3.DatabaseError as error:
                if not is_damaged(error):
                    raise
                unreadable.append((seq, str(error)))
                continue
            decoded, undecodable = _decoded(found, rows.file)
            groups += decoded
            unreadable += undecodable
        return FoundInFile(groups, unreadable, last)


def received_ms(waiting: Group | Range) -> int:
    """When the first record was received that waits there, Unix milliseconds. Of a group that is not complete."""
    if isinstance(waiting, Range):
        return waiting.oldest_ms
    return waiting.records[0].record.timestamp_ms


def _number_again(groups: Sequence[Group]) -> int:
    """Let groups of ours that were read back know their numbers. Gives the number that follows."""
    following = 0
    for group in groups:
        number = number_of(group.records[0].record)
        group.first_number = number.number if number else 0
        following = group.first_number + len(group.records)
    return following


def _decoded(rows: Sequence[Row], file: JournalFile) -> tuple[list[Group], list[tuple[int, str]]]:
    """Their groups, and sequence numbers and problems of those that are damaged."""
    groups: list[Group] = []
    unreadable: list[tuple[int, str]] = []
    for row in rows:
        try:
            group = Group.read_back(row, file)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
            unreadable.append((row.seq, str(error)))
            continue
        if group.records:
            groups.append(group)
        else:  # It would wait for ever for what cannot be confirmed.
            unreadable.append((row.seq, "it holds no records"))
    return groups, unreadable
