"""A lane: the records of one topic that Kafka has not confirmed yet, in order. See the essay of `journal`."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bridge.journal.record import Record, unpack
from bridge.journal.store import Store
from bridge.journal.writer import Writer
from common.logs import Throttle

log = logging.getLogger(__name__)

GROUP_OVERHEAD = 128
READ_AGAIN_S = 1.0
READS = 16
"""In how many parts a read-ahead is read: replies that wait for a sync wait for the one under way."""

Settle = Callable[[bool], None]
"""Told once whether a record became durable in time."""


class Entry:
    """A record on its way."""

    __slots__ = ("_settle", "confirmed", "group", "record", "size")

    def __init__(self, record: Record, group: Group, settle: Settle | None) -> None:
        self.record = record
        self.size = record.size
        self.group = group
        self._settle = settle
        self.confirmed = False

    def settle(self, durable: bool) -> None:
        """Let the reply go, unless it went before."""
        if (settle := self._settle) is None:
            return
        self._settle = None
        try:
            settle(durable)
        except Exception:  # Trouble with one reply must not stop the others.
            log.exception("a reply could not be given")


class Group:
    """Records of one topic that were gathered together: the unit of writing."""

    __slots__ = ("begun", "entries", "flushed", "home", "seq", "size", "synced", "topic", "unconfirmed")

    def __init__(self, topic: str, begun: float = 0.0, *, seq: int = 0, home: Store | None = None) -> None:
        self.topic = topic
        self.begun = begun
        """When its first record came (loop time)."""
        self.seq = seq
        self.home = home
        """The file that holds it, or will when the writer comes to it; None while homeless."""
        self.entries: list[Entry] = []
        self.size = GROUP_OVERHEAD
        self.flushed = 0.0
        self.unconfirmed = 0
        self.synced = False

    def add(self, record: Record, settle: Settle | None) -> Entry:
        """Add a record."""
        entry = Entry(record, self, settle)
        self.entries.append(entry)
        self.size += entry.size
        self.unconfirmed += 1
        return entry

    def release(self) -> None:
        """Let the entries go: they are in Kafka, or on disk.

        Entries and group refer to each other, and would lie in memory until the garbage collector stops the process to
        find them. The writer may be reading the list, so that is left as it is.
        """
        self.entries = []


def drop_complete(groups: deque[Group]) -> None:
    """Remove the groups at the head that Kafka has confirmed as a whole."""
    while groups and groups[0].unconfirmed == 0:
        groups.popleft()


@dataclass
class Range:
    """Rows of a file that are not in memory: `after` < seq <= `through`."""

    home: Store
    after: int
    through: int


class Lane:
    """The unconfirmed records of one topic, in order. The publisher takes groups and confirms their entries."""

    def __init__(self, topic: str, read_ahead_bytes: int, writer: Writer, on_offer: Callable[[Lane], None]) -> None:
        self.topic = topic
        self.taken_bytes = 0
        """Size of the groups that were taken and are not complete."""
        self._on_offer = on_offer
        self._read_ahead_bytes = read_ahead_bytes
        self._writer = writer
        self._ready: deque[Group | Range] = deque()
        self._ready_bytes = 0
        self._fresh: deque[Group] = deque()
        self._throttle = Throttle()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._ready and not self._fresh

    def inherit(self, home: Store, through: int) -> None:
        """Put the rows of a predecessor's file behind what is here."""
        self._ready.append(Range(home, 0, through))
        self._on_offer(self)

    def offer(self, group: Group) -> None:
        """A new group, whose records are in memory until it is synced or complete."""
        self._fresh.append(group)
        self._on_offer(self)

    def settle(self, group: Group) -> None:
        """The group is synced: unless it was taken, it stays in memory only as read-ahead."""
        if not (self._fresh and self._fresh[0] is group):
            return
        self._fresh.popleft()
        assert group.home is not None
        last = self._ready[-1] if self._ready else None
        if self._ready_bytes + group.size <= self._read_ahead_bytes:
            self._ready.append(group)
            self._ready_bytes += group.size
            return
        group.release()
        if isinstance(last, Range) and last.home is group.home:
            last.through = group.seq
        else:
            self._ready.append(Range(group.home, group.seq - 1, group.seq))

    async def take(self) -> Group | None:
        """The next group, or None where nothing waits or enough is taken already."""
        if self.taken_bytes >= self._read_ahead_bytes:
            return None
        while self._ready and isinstance(self._ready[0], Range):
            await self._read(self._ready[0])
        if self._ready:
            group = self._ready.popleft()
            assert isinstance(group, Group)
            self._ready_bytes -= group.size
        elif self._fresh:
            group = self._fresh.popleft()
        else:
            return None
        self.taken_bytes += group.size
        return group

    async def _read(self, rows: Range) -> None:
        """Replace the range at the head by its first groups and what remains of it."""
        through = rows.through  # It may grow while we read.
        try:
            groups = await self._writer.call(lambda: _read_groups(rows, self.topic, self._read_ahead_bytes // READS))
        except sqlite3.OperationalError as error:  # The disk fails, and may be well again.
            if self._throttle.admits(str(error)):
                log.error("the journal %s cannot be read now (%s); it is tried again", rows.home.path, error)
            await asyncio.sleep(READ_AGAIN_S)
            return
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            log.error(
                "the journal %s cannot be read any more (%s): events %d to %d of %s stay in the file, which is kept",
                *(rows.home.path, error, rows.after + 1, rows.through, self.topic),
            )
            groups = []
        rows.after = groups[-1].seq if groups else through
        if rows.after >= rows.through:
            self._ready.popleft()
        self._ready.extendleft(reversed(groups))
        self._ready_bytes += sum(group.size for group in groups)


def _read_groups(rows: Range, topic: str, most_bytes: int) -> list[Group]:
    groups = []
    for row in rows.home.read(topic, rows.after, rows.through, most_bytes):
        group = Group(topic, seq=row.seq, home=rows.home)
        for record in unpack(row.packed):
            group.add(record, None)
        group.synced = True
        groups.append(group)
    return groups
