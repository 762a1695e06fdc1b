"""Which record of a batch does the broker reject for good? It says only that it rejects the batch.

Where it is for their times, none of them is at fault. Brokers take none that is more than an hour ahead of their clock
(`message.timestamp.after.max.ms`), and that ours is right is not what an acknowledged event may hang on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from bridge.journal.groups import PendingRecord

MAX_BATCH_RECORDS = 65_536
WITHOUT_TIMES_S = 60.0
"""How long records are sent without their times after some were rejected for them."""


class RejectedRecord(NamedTuple):
    """A record that the broker rejects for good, and why."""

    pending: PendingRecord
    reason: str


class RejectionSearch:
    """Finds the record by making batches smaller, each on a new producer. It outlives them."""

    def __init__(self) -> None:
        self.batch_records = MAX_BATCH_RECORDS
        """How many records a batch may have: fewer while the search goes on."""
        self._found: RejectedRecord | None = None
        self._has_narrowed = False
        self._timeless_until = 0.0

    def times_rejected(self) -> None:
        """A batch was rejected for the time of a record."""
        self._has_narrowed = True
        self._timeless_until = time.monotonic() + WITHOUT_TIMES_S

    @property
    def sends_times(self) -> bool:
        """Whether records are sent with their times."""
        return not self._timeless_until or time.monotonic() >= self._timeless_until

    def rejected(self, records: Sequence[PendingRecord], reason: str) -> None:
        """A batch was rejected as a whole."""
        self._has_narrowed = True
        if len(records) == 1:
            self._found = RejectedRecord(records[0], reason)
        else:
            self.batch_records = len(records) // 2

    def accepted(self) -> None:
        """A batch was confirmed: the next may be larger again."""
        self.batch_records = min(self.batch_records * 2, MAX_BATCH_RECORDS)

    @property
    def found(self) -> RejectedRecord | None:
        """The record that was found."""
        return self._found

    def forget_found(self) -> None:
        """The record that was found is kept elsewhere."""
        self._found = None

    def pop_has_narrowed(self) -> bool:
        """Whether a producer was given up for the search since the last call: no reason to wait with the next one."""
        has_narrowed, self._has_narrowed = self._has_narrowed, False
        return has_narrowed
