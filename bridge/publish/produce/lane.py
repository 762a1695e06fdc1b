"""The way to one partition: what waits for it, its batches in their order, and the sequence numbers they have.

Brokers number nothing themselves: they compare the sequence numbers of a batch with those of the one before, under the
same producer's id, and refuse what does not follow. So a batch may be sent twice and is there once, and one that comes
before its predecessor is refused, if there is a predecessor: **a broker that has never heard of a producer takes any
number**. So a second batch follows the first into the flight only where a confirmation shows that the broker knows us.
"""

from __future__ import annotations

from collections import deque

from bridge.journal.groups import PendingRecord
from bridge.publish.produce.batch import Batch, BatchForm, fill

SEQUENCE_NUMBERS = 2**31
"""After the last comes 0."""
MAX_IN_FLIGHT = 2
"""Batches of a partition. A broker remembers the last five, and knows those when they come again."""
KNOWN_FOR_S = 60.0
"""So long after a confirmation a broker is sure to know the producer. By default it forgets one after a day."""


class Lane:
    """The way to a partition.

    What holds at all times: `unconfirmed` has the batches in the order of their sequence numbers. Of these, the first
    that is not in flight is the only one that may be sent.

    Args:
        partition: its number.
    """

    __slots__ = ("_known_until", "_next_sequence", "is_resting", "partition", "unconfirmed", "waiting")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.waiting: deque[PendingRecord] = deque()
        """Records of which no batch was made."""
        self.unconfirmed: deque[Batch] = deque()
        self.is_resting = False
        """A batch has failed a moment ago: nothing is sent."""
        self._next_sequence = 0
        self._known_until = 0.0

    @property
    def next_sequence(self) -> int:
        """The sequence number of the first record of the next batch."""
        return self._next_sequence

    def may_make(self, now: float) -> bool:
        """Whether a batch should be made of what waits: it could be sent at once, as far as this partition goes."""
        ahead = self.unconfirmed
        if not (ahead and self.waiting):
            return bool(self.waiting)
        return len(ahead) < MAX_IN_FLIGHT and now < self._known_until and all(one.leader is not None for one in ahead)

    def add(self, batch: Batch) -> None:
        """A batch was made, whose first record has `next_sequence`."""
        self.unconfirmed.append(batch)
        self._next_sequence = (self._next_sequence + len(batch.records)) % SEQUENCE_NUMBERS

    def next_batch(self, now: float) -> Batch | None:
        """The batch that may be sent now."""
        for ahead, batch in enumerate(self.unconfirmed):
            if batch.leader is None:
                waits = self.is_resting or (ahead and (ahead >= MAX_IN_FLIGHT or now >= self._known_until))
                return None if waits else batch
        return None

    def confirmed(self, batch: Batch, now: float) -> None:
        """Kafka has a batch, and so has all that was before it."""
        self.unconfirmed.remove(batch)
        if not self.unconfirmed or all(one.leader is not None for one in self.unconfirmed):
            self._known_until = now + KNOWN_FOR_S

    def failed(self, batch: Batch) -> None:
        """A batch is to be sent again. From now on one goes after the other, until they are all confirmed."""
        batch.leader = None
        self._known_until = 0.0
        self.is_resting = True

    def is_first(self, batch: Batch) -> bool:
        """Whether no batch before this one is unconfirmed."""
        return self.unconfirmed[0] is batch


def made(lane: Lane, form: BatchForm, max_bytes: int, max_records: int) -> Batch:
    """A batch of the records that came first to a partition, for `Lane.add`."""
    builder = form.builder(lane.next_sequence)
    records = fill(builder, lane.waiting, max_bytes=max_bytes, max_records=max_records)
    return Batch(lane.partition, records, builder)
