"""What a file of this process holds for Kafka: counts, and rows that are to be deleted."""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import suppress
from pathlib import Path

from bridge.journal.store import Store

# A deletion takes some 25 us, and a sync that a reply waits for may wait behind them: a few at a time, but more where
# many are due, so that no more than some hundred are overdue.
FEW_DELETIONS = 64
DELETIONS_SHARE = 8


class JournalFile:
    """A file of this process, and what it holds that Kafka has not confirmed."""

    is_inherited = False
    """Whether another process has written it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        """Where its rows are. `rescue` puts a copy here when the file has vanished from the folder."""
        self.groups = 0
        self.records = 0
        self.bytes = 0
        self.peak_bytes = 0
        self._deletable: deque[int] = deque()
        """Sequence numbers of complete groups whose rows are still there."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.store.path

    @property
    def has_deletable(self) -> bool:
        """Whether rows are to be deleted."""
        return bool(self._deletable)

    def add(self, groups: int, records: int, size: int) -> None:
        """It holds some groups more, of so many records and of `size` bytes."""
        self.groups += groups
        self.records += records
        self.bytes += size
        self.peak_bytes = max(self.peak_bytes, self.bytes)

    def remove(self, records: int, size: int) -> None:
        """It holds one group less, of so many records and of `size` bytes."""
        self.groups -= 1
        self.records -= records
        self.bytes -= size

    def mark_deletable(self, seq: int) -> None:
        """The row with this sequence number is not needed any more."""
        self._deletable.append(seq)

    def pop_deletable(self) -> list[int]:
        """The rows to be deleted next, by sequence number."""
        due = len(self._deletable)
        return [self._deletable.popleft() for _ in range(min(due, max(FEW_DELETIONS, due // DELETIONS_SHARE)))]

    def close(self, *, removes_empty: bool = True) -> None:
        """Give the file back, or remove it if nothing in it is needed. For the writer's thread."""
        if self.groups == 0 and removes_empty:
            self.store.remove()
            return
        with suppress(sqlite3.Error, OSError):
            self.store.write((), list(self._deletable), sync=True)
        self.store.close()
