"""Numbers of records: each that is taken has one, in a header, so that readers can tell what is missing.

They count the records of a topic in one life of a process. Which of them became durable is marked in a ring of one byte
a number, before anybody is told: where the ring outlives the process, its successor knows which numbers nobody was told
200 for. The ring spans more than can be undecided at once; it is cleared in blocks, ahead of the numbers.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from mmap import mmap
from typing import NamedTuple, Protocol

from bridge.journal.record import Record
from common.audit.header import HEADER, Life, RecordNumber, parse_number, prefix_of
from common.audit.statement import Ranges, SetAside

BLOCK = 4096
"""So many numbers are cleared at a time."""
TAIL_BYTES = 16
"""Behind the ring: the counters."""
LEAST_RING, LARGEST_RING = 1 << 16, 1 << 22
LEAST_RECORD_BYTES = 256
"""No event is smaller."""
MAX_RANGES = 5_000
"""Of numbers in a statement, which has to fit into a record."""

_DIGITS = 1000
_PLAIN = tuple(b"%d" % number for number in range(_DIGITS))
_PADDED = tuple(b"%03d" % number for number in range(_DIGITS))
"""The last digits of a number: to write all of them costs as much as everything else that is done for it."""
_UNMARKED = re.compile(rb"\0+")
_COUNTERS = struct.Struct("=QQ")


class Numbered(Protocol):
    """A record that waits, as numbering sees it."""

    @property
    def record(self) -> Record:
        """It."""


class Counters(NamedTuple):
    """How far the numbers of a topic are."""

    given: int
    """The last one."""
    durable_through: int
    """Up to here all are known to be durable."""


class Undecided(NamedTuple):
    """What is known of the numbers of a life that has ended."""

    never_durable: Ranges
    durable_through: int
    is_exact: bool
    """Whether the ring still knows all of them."""


def ring_size(memory_max_bytes: int) -> int:
    """How many numbers a ring must span where so many bytes may be neither on disk nor in Kafka."""
    wanted = min(max(memory_max_bytes // LEAST_RECORD_BYTES, LEAST_RING), LARGEST_RING)
    return 1 << (wanted - 1).bit_length()


class Ring:
    """Marks of the numbers of a topic, and how far they are.

    Args:
        marks: where they are, all 0 when a life begins: `size` bytes, and TAIL_BYTES behind them.
        size: how many numbers it spans, a power of two.
    """

    def __init__(self, marks: mmap | bytearray, size: int) -> None:
        self.marks = marks
        self.size = size

    @property
    def counters(self) -> Counters:
        """Those that were stored last."""
        return Counters(*_COUNTERS.unpack_from(self.marks, self.size))

    def store(self, given: int, durable_through: int) -> None:
        """Keep the counters where the marks are."""
        _COUNTERS.pack_into(self.marks, self.size, given, durable_through)

    def mark(self, first: int, marks: bytes) -> None:
        """Mark numbers from the `first` on, each by a byte: 1 where it is durable."""
        at = first % self.size
        end = at + len(marks)
        if end <= self.size:
            self.marks[at:end] = marks
        else:
            self.marks[at : self.size] = marks[: self.size - at]
            self.mark(0, marks[self.size - at :])

    def clear_ahead(self, given: int, last: int) -> None:
        """See to it that nothing is marked of the numbers up to `last`, where those up to `given` were given before.

        The block behind that of the last one given is always clear.
        """
        for block in range(given // BLOCK + 2, last // BLOCK + 2):
            at = block * BLOCK % self.size
            self.marks[at : at + BLOCK] = bytes(BLOCK)

    def _is_overrun(self, counters: Counters) -> bool:
        """Whether more numbers are undecided, perhaps, than it spans."""
        return counters.given - counters.durable_through > self.size - 2 * BLOCK

    def durable_through(self, counters: Counters) -> int:
        """Up to which number all are marked."""
        through, given = counters.durable_through, counters.given
        if self._is_overrun(counters):
            return through
        while through < given:
            at = (through + 1) % self.size
            span = min(given - through, self.size - at)
            unmarked = self.marks.find(b"\0", at, at + span)
            if unmarked >= 0:
                return through + unmarked - at
            through += span
        return through

    def undecided(self) -> Undecided:
        """Which numbers never became durable, in a life that has ended."""
        counters = self.counters
        if self._is_overrun(counters):
            return Undecided([], counters.durable_through, is_exact=False)
        through = self.durable_through(counters)
        first = through + 1
        begin, count = first % self.size, counters.given - through
        marks = bytes(self.marks[begin : min(begin + count, self.size)])
        marks += bytes(self.marks[0 : count - len(marks)])
        found = [(first + run.start(), first + run.end() - 1) for run in _UNMARKED.finditer(marks)]
        return Undecided(found[:MAX_RANGES], through, is_exact=len(found) <= MAX_RANGES)


class TopicNumbers:
    """Gives the records of a topic their numbers.

    Args:
        life: that they count in.
        ring: where they are marked, all clear. It has each number before its record is on any way.
    """

    def __init__(self, life: Life, ring: Ring) -> None:
        self.ring = ring
        self.given = 0
        self._prefix = prefix_of(life)
        self._durable_through = 0

    def number(self, records: Sequence[Numbered]) -> int:
        """Give each of these its number, in a header. Gives the first of them."""
        given = self.given
        last = given + len(records)
        if last // BLOCK != given // BLOCK:
            self.ring.clear_ahead(given, last)
        done = 0
        while done < len(records):
            prefix, endings = self._written(given + done + 1, last)
            part = records[done : done + len(endings)] if done or len(endings) < len(records) else records
            for pending, ending in zip(part, endings, strict=True):
                pending.record.headers.append((HEADER, prefix + ending))
            done += len(endings)
        self.given = last
        self.ring.store(last, self._durable_through)
        return given + 1

    def _written(self, first: int, last: int) -> tuple[bytes, Sequence[bytes]]:
        """What the numbers from the `first` on begin with, and how each ends: as many as have it in common."""
        common, begin = divmod(first, _DIGITS)
        end = begin + last - first + 1
        if not common:
            return self._prefix, _PLAIN[begin:end]
        return self._prefix + b"%d" % common, _PADDED[begin:end]

    def count(self) -> Counters:
        """How far they are now. To be called now and then, so that the ring is not overrun."""
        self._durable_through = self.ring.durable_through(Counters(self.given, self._durable_through))
        self.ring.store(self.given, self._durable_through)
        return Counters(self.given, self._durable_through)


def number_of(record: Record) -> RecordNumber | None:
    """The number of a record; None where it has none, as of a version that gave none."""
    for name, value in reversed(record.headers):
        if name == HEADER:
            return parse_number(value)
    return None


class SetAsideNumbers:
    """Numbers of records that never come, since they were set aside, of whatever life."""

    def __init__(self) -> None:
        self.by_life: SetAside = {}
        self._ranges = 0

    @property
    def is_full(self) -> bool:
        """Whether there are more than a statement takes."""
        return self._ranges >= MAX_RANGES

    def add(self, record: Record) -> None:
        """One was set aside. Where there are too many to be told, it is not known here."""
        number = number_of(record)
        if number is None or self.is_full:
            return
        ranges = self.by_life.setdefault(number.life.name, {}).setdefault(record.topic, [])
        self._ranges -= len(ranges)
        add_number(ranges, number.number)
        self._ranges += len(ranges)


def add_number(ranges: Ranges, number: int) -> None:
    """Add a number to ascending ranges that do not touch."""
    at = bisect_left(ranges, (number + 1, 0))
    before = ranges[at - 1] if at else (-1, -1)
    if before[0] <= number <= before[1]:
        return
    first = last = number
    if at < len(ranges) and ranges[at][0] == number + 1:
        last = ranges.pop(at)[1]
    if at and before[1] == number - 1:
        first = ranges.pop(at - 1)[0]
        at -= 1
    ranges.insert(at, (first, last))


Numbering = Mapping[str, TopicNumbers]
"""Topic → the numbers of its records. Records of other topics have none."""
