"""The records of one callback in the journal, and one answer to whether they are durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from bridge.journal.groups import Resolve
from bridge.journal.record import Record


class RecordJournal(Protocol):
    """What makes records durable: see `bridge.journal.journal.Journal`."""

    @property
    def fraction_used(self) -> float:
        """How much of its budgets is used: from 0.0 (nothing) to 1.0 (all) and a little beyond."""

    def append(self, record: Record, resolve: Resolve, /) -> None:
        """Keep a record, and call `resolve` once, later.

        Raises:
            JournalFullError: it was not kept.
        """


class AllDurable:
    """Puts together what the journal says of each record: True when all are durable, False as soon as one is not.

    Args:
        resolve: told the outcome, once.
    """

    __slots__ = ("_missing", "_resolve", "_timer")

    def __init__(self, resolve: Resolve) -> None:
        self._missing = 0
        self._resolve: Resolve | None = resolve
        self._timer: asyncio.TimerHandle | None = None

    def append(self, records: Sequence[Record], journal: RecordJournal) -> None:
        """Put the records into the journal.

        Raises:
            JournalFullError: not all were kept; nothing will be told.
        """
        self._missing = len(records)
        try:
            for record in records:
                journal.append(record, self)
        except BaseException:
            self._resolve = None
            raise

    def resolve_by(self, until: float) -> None:
        """Tell the outcome at this time of the event loop, at the latest."""
        self._timer = asyncio.get_running_loop().call_at(until, self, False)

    def __call__(self, durable: bool) -> None:
        """One of them is durable, or is not in time; or, given False, time is up for all."""
        self._missing -= 1
        if self._resolve is not None and (not durable or self._missing == 0):
            resolve, self._resolve = self._resolve, None
            if self._timer is not None:
                self._timer.cancel()
            resolve(durable)
