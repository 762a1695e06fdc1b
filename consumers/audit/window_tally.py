"""What is found of a window of time while the topics are read for it."""

from __future__ import annotations

from typing import NamedTuple

from common.audit.statement import Statement
from consumers.audit.ledger import AuditLedger

WINDOW_MARGIN_MS = 60_000
RECEIPT_MS = 5000
"""A record is received so long before it has its number, at most: a statement may have been made in between."""


class ReadWindow(NamedTuple):
    """A time that is audited by itself."""

    from_ms: int
    to_ms: int

    @property
    def begin_ms(self) -> int:
        """From when on records are looked at: some before, so that what is missing at the beginning is between two."""
        return max(0, self.from_ms - WINDOW_MARGIN_MS)


class WindowTally:
    """Counts what was received within a window, and knows which numbers are asked for.

    Args:
        window: the time.
    """

    def __init__(self, window: ReadWindow) -> None:
        self.window = window
        self.expired_until_ms = 0
        """Retention may have taken what was received until then, though it is of the window."""
        self.arrived = 0
        self.again = 0
        """How often a record of it came again."""
        self._given: dict[str, dict[str, int]] = {}
        """Name of a life → topic → the last number that it had given shortly before the window."""

    def hear(self, statement: Statement) -> None:
        """Note a statement: what was given later than one that was made shortly before the window must be there."""
        if self.window.begin_ms + RECEIPT_MS <= statement.time_ms <= self.window.from_ms:
            self._given[statement.life.name] = {topic: told.given for topic, told in statement.topics.items()}

    def is_before(self, statement: Statement) -> bool:
        """Whether a life had ended before anything that is looked at."""
        return statement.ended != "" and statement.time_ms < self.window.begin_ms

    def count(self, time_ms: int, *, is_new: bool) -> None:
        """Note a record that is on a topic."""
        if self.window.from_ms <= time_ms <= self.window.to_ms:
            self.arrived += is_new
            self.again += not is_new

    def note_expired(self, until_ms: int) -> None:
        """Note that retention may have taken what was received until then."""
        self.expired_until_ms = max(self.expired_until_ms, until_ms)

    def begin(self, ledger: AuditLedger) -> None:
        """Ask for nothing that was taken before the time from which on the topics were read."""
        for name, life in ledger.lives.items():
            if life.latest is None or life.latest.statement.started_ms >= self.window.begin_ms:
                continue
            given = self._given.get(name, {})
            for topic in {*life.streams, *life.latest.statement.topics}:
                stream = life.stream(topic)
                known = [given[topic]] if topic in given else []
                known += [stream.seen.firsts[0] - 1] if stream.seen.firsts else []
                stream.begin_behind(min(known, default=life.stated_given(topic)))
