"""Records on their way through the journal, and the groups in which they are written."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from bridge.events.envelope import EVENT_CONTENT_TYPE
from bridge.journal.journal_file import JournalFile
from bridge.journal.numbering import Ring
from bridge.journal.record import EVENT_OVERHEAD_BYTES, Record, unpack
from bridge.journal.store import Row
from common.audit.header import HEADER

log = logging.getLogger(__name__)

GROUP_OVERHEAD_BYTES = 128
RECORD_MEMORY_BYTES = 300
"""What the objects of a record take in memory beyond its size, which is that of its bytes: measured."""

Resolve = Callable[[bool], None]
"""Told once of a record: True when it became durable, False when it did not within the reply deadline."""


class GroupState(IntEnum):
    """How far a group has come. The essay of `bridge.journal.journal` shows the way through the states."""

    GATHERING = 0
    """Records are added to it. Only memory holds it, and nobody else has seen it."""
    UNWRITTEN = 1
    """Kafka may confirm it. Only memory holds it."""
    UNSYNCED = 2
    """It was handed to the writer as a row of a file. Memory holds it too: the row may be lost with the machine."""
    SYNCED = 3
    """The disk holds it for good. Memory need not."""
    COMPLETE = 4
    """Kafka has confirmed all of its records. Nobody needs it any more."""


TRANSITIONS = {
    GroupState.GATHERING: (GroupState.UNWRITTEN,),
    GroupState.UNWRITTEN: (GroupState.UNSYNCED, GroupState.COMPLETE),
    GroupState.UNSYNCED: (GroupState.SYNCED, GroupState.UNWRITTEN, GroupState.COMPLETE),
    GroupState.SYNCED: (GroupState.COMPLETE,),
    GroupState.COMPLETE: (),
}
"""State → the states that may follow. From UNSYNCED back to UNWRITTEN: its file failed before it was synced."""


class PendingRecord(msgspec.Struct, eq=False):
    """A record that Kafka has not confirmed yet, as a member of its group."""

    record: Record
    size: int
    group: Group
    who_waits: Resolve | None
    """Told whether it became durable; None: was told."""
    confirmed: bool = False
    is_passed_over: bool = False
    """Kafka will never take it, and somebody else is about to keep it: it is not sent."""
    is_dropped: bool = False
    """It is not kept either, which nobody was told of but with False."""

    def resolve(self, durable: bool) -> None:
        """Tell whoever waits for it, unless that was done before."""
        resolve_all((self,), durable)


class Group:
    """Records of one topic that were gathered together: the unit of writing, of reading and of syncing.

    Args:
        topic: of all its records.
        began: when its first record came, in seconds of the event loop's clock; 0 for a group read from a file.
    """

    __slots__ = (
        *("began", "file", "first_number", "flushed", "is_whole", "records", "ring", "seq", "size", "state", "topic"),
        "unconfirmed",
    )

    def __init__(self, topic: str, began: float) -> None:
        self.topic = topic
        self.began = began
        self.flushed = 0.0
        """When it was offered to Kafka, by the same clock."""
        self.state = GroupState.GATHERING
        self.seq = 0
        """Its number in the order of all groups of the process; the key of its row."""
        self.file: JournalFile | None = None
        """The file that holds it, or will when the writer comes to it; None before UNSYNCED."""
        self.records: list[PendingRecord] = []
        self.size = GROUP_OVERHEAD_BYTES
        """Bytes, about."""
        self.unconfirmed = 0
        """How many of its records Kafka has not confirmed."""
        self.first_number = 0
        """The number of its first record, which those of the others follow; 0 where this process gave them none."""
        self.ring: Ring | None = None
        """Where it is marked which of its records became durable, before anybody is told; None: nowhere, or it was."""
        self.is_whole = True
        """Whether no record of it was passed over or dropped."""

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory, about, as long as it has its records."""
        return self.size + RECORD_MEMORY_BYTES * len(self.records)

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody was told, or may have been told by a predecessor, that the disk holds it for good."""
        return self.state is GroupState.SYNCED

    @classmethod
    def read_back(cls, row: Row, file: JournalFile) -> Group:
        """The group of a row that lies in a file.

        Raises:
            msgspec.DecodeError: the row is damaged.
        """
        group = cls(row.topic, 0.0)
        for record in unpack(row.packed):
            group.add(_sharing(record, row.topic), None)
        group.seq = row.seq
        group.size = row.size  # As it was counted when it was written, perhaps by another version.
        group.file = file
        group.state = GroupState.SYNCED
        return group

    def add(self, record: Record, resolve: Resolve | None) -> int:
        """Add a record. Gives its size in bytes."""
        headers = record.headers
        if len(headers) == 1 and headers[0] is EVENT_CONTENT_TYPE:  # To add headers up costs more than all else here.
            size = len(record.key) + len(record.value) + EVENT_OVERHEAD_BYTES
        else:
            size = record.size
        self.records.append(PendingRecord(record, size, self, resolve))
        self.size += size
        self.unconfirmed += 1
        return size

    def become(self, state: GroupState) -> None:
        """Go on to another state, of those that TRANSITIONS allows."""
        assert state in TRANSITIONS[self.state], f"a group cannot become {state.name} after {self.state.name}"
        self.state = state

    def mark_durable(self) -> None:
        """All of its records are durable, but for those that were dropped."""
        if (ring := self.ring) is not None:
            records = self.records
            marks = b"\1" * len(records) if self.is_whole else bytes(not pending.is_dropped for pending in records)
            ring.mark(self.first_number, marks)
            self.ring = None

    def mark_confirmed(self) -> None:
        """Those of its records are durable that Kafka has confirmed."""
        if self.ring is not None:
            confirmed = (pending.confirmed and not pending.is_dropped for pending in self.records)
            self.ring.mark(self.first_number, bytes(confirmed))

    def resolve(self, durable: bool) -> None:
        """Tell whoever still waits for one of its records."""
        resolve_all(self.records, durable)

    def forget_records(self) -> None:
        """Let the records go: they are in Kafka, or on disk.

        Records and group refer to each other, and would lie in memory until the garbage collector stops the process to
        find them. The writer may be reading the list, so that is left as it is.
        """
        self.records = []


def _sharing(record: Record, topic: str) -> Record:
    """The same record, made of what all have in common: each that is read back would have copies, 300 bytes of them."""
    headers = record.headers
    for place, (name, value) in enumerate(headers):
        if name == HEADER:
            headers[place] = (HEADER, value)
        elif (name, value) == EVENT_CONTENT_TYPE:
            headers[place] = EVENT_CONTENT_TYPE
    return Record(topic, record.key, record.value, headers, record.timestamp_ms) if record.topic == topic else record


def resolve_all(records: Sequence[PendingRecord], durable: bool) -> None:
    """Tell whoever waits for these records, unless that was done before."""
    for pending in records:
        if (resolve := pending.who_waits) is not None:
            pending.who_waits = None
            try:
                resolve(durable)
            except Exception:  # Trouble with one reply must not stop the others.
                log.exception("a reply could not be given")


def drop_complete(groups: deque[Group]) -> None:
    """Remove the groups at the head that Kafka has confirmed as a whole."""
    while groups and groups[0].state is GroupState.COMPLETE:
        groups.popleft()
