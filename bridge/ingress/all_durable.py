"""The records of one callback in the journal, and one answer to whether they are durable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bridge.journal.groups import Resolve
from bridge.journal.record import Record


class RecordJournal(Protocol):
    """What makes records durable: see `bridge.journal.journal.Journal`."""

    def append(self, record: Record, resolve: Resolve, /) -> None:
        """Keep a record, and call `resolve` once, later.

        Raises:
            JournalFullError: it was not kept.
        """


class AllDurable:
    """Puts together what the journal says of each record: True when all are durable, False as soon as one is not.

    Args:
        records: the records, not yet in the journal.
        resolve: told the outcome, once.
    """

    __slots__ = ("_missing", "_records", "_resolve")

    def __init__(self, records: Sequence[Record], resolve: Resolve) -> None:
        self._records = records
        self._missing = len(records)
        self._resolve: Resolve | None = resolve

    def append_to(self, journal: RecordJournal) -> None:
        """Append all of them.

        Raises:
            JournalFullError: not all were kept; nothing will be told.
        """
        try:
            for record in self._records:
                journal.append(record, self)
        except BaseException:
            self._resolve = None
            raise

    def __call__(self, durable: bool) -> None:
        """One of them is durable, or is not in time; or, given False, time is up for all."""
        self._missing -= 1
        if self._resolve is not None and (not durable or self._missing == 0):
            resolve, self._resolve = self._resolve, None
            resolve(durable)
