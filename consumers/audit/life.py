"""One life of an ingress process, as the auditor knows it: what it states, and which of its records came."""

from __future__ import annotations

import msgspec

from common.audit.header import Life
from common.audit.statement import Statement
from consumers.audit.stream import NumberedStream

MAX_STATED = 128
SILENT_AFTER_INTERVALS = 3
UNSTATED_FOR_MS = 30_000
"""How long a process may take records before it states anything. It does so when it begins."""


class Stated(msgspec.Struct, frozen=True):
    """A statement, and its offset on the topic for the audit."""

    offset: int
    statement: Statement


class AuditedLife(msgspec.Struct, kw_only=True):
    """A life; it may have no statement yet."""

    process: str
    epoch: int
    streams: dict[str, NumberedStream] = {}
    """By topic."""
    latest: Stated | None = None
    """The last one that was read."""
    due: Stated | None = None
    """The last one of those that all was read for which was on the topics when the statement was read."""
    given: dict[str, int] = {}
    """By topic, the highest that a statement said that is due; of what is confirmed, and durable, the same. One that
    was made from an older file may say less than was said before."""
    confirmed: dict[str, int] = {}
    durable: dict[str, int] = {}
    heard_ms: int = 0
    """When the last one was read, by the auditor's clock; of an older one when it was made."""
    looks_before: int = 0
    """How often it had looked for journals in its first statement behind that of the last unclean end of its folder; of
    a life that began behind it 0, for it looks first when it begins. Without meaning while there is no such
    statement."""
    given_at: list[tuple[int, dict[str, int]]] = []
    """Time of former statements, and what had been given then by topic: those of which not all is confirmed."""
    proven_ms: int = 0
    """All that it took until then is on the topics, or is told apart: Unix ms of its own clock."""
    is_settled: bool = False
    """It has ended, and of all its numbers it is decided why those are not there that are not."""
    is_forgotten: bool = False

    @property
    def life(self) -> Life:
        """Which life it is."""
        return Life(self.process, self.epoch)

    def stream(self, topic: str) -> NumberedStream:
        """What is known of its records of a topic."""
        found = self.streams.get(topic)
        if found is None:
            found = self.streams[topic] = NumberedStream()
        return found

    def stated_given(self, topic: str) -> int:
        """The last number of a topic that a statement said was given, due or not."""
        told = self.latest.statement.topics.get(topic) if self.latest is not None else None
        return max(self.given.get(topic, 0), told.given if told is not None else 0)

    def hear(self, stated: Stated, heard_ms: int) -> None:
        """Note a statement that was read."""
        statement = stated.statement
        if self.latest is None:
            self.proven_ms = statement.started_ms
        self.latest = stated
        self.heard_ms = max(self.heard_ms, heard_ms)
        self.is_forgotten = False
        self.is_settled = False
        self.given_at.append((statement.time_ms, {name: one.given for name, one in statement.topics.items()}))
        if len(self.given_at) > MAX_STATED:
            del self.given_at[1 : MAX_STATED // 2 : 2]

    def is_silent(self, now_ms: int, listening_ms: int) -> bool:
        """Whether it says nothing any more, though nobody has said that it ended.

        Args:
            now_ms: Unix milliseconds.
            listening_ms: since when it could be heard.
        """
        if self.latest is None or self.has_ended or self.is_forgotten:
            return False
        return now_ms > max(self.heard_ms, listening_ms) + _patience_ms(self.latest)

    def is_unstated(self, since_ms: int, until_ms: int) -> bool:
        """Whether it took records from one time on, and well before another, and nobody has ever stated anything of it.

        One that may not write to the topic for the audit is such: what of its records lacks, nobody knows.
        """
        if self.latest is not None or self.is_forgotten:
            return False
        seen = [stream.seen for stream in self.streams.values() if len(stream.seen)]
        return any(one.last_ms[-1] >= since_ms and one.first_ms[0] < until_ms - UNSTATED_FOR_MS for one in seen)

    def is_unheard(self, until_ms: int) -> bool:
        """Whether it may have taken records until a time of its clock of which nobody has stated anything."""
        if self.latest is None or self.has_ended or self.is_forgotten:
            return False
        return self.latest.statement.time_ms + _patience_ms(self.latest) < until_ms

    def make_due(self, stated: Stated) -> None:
        """Note that all was read that was on the topics when a statement had been read."""
        self.due = stated
        for topic, told in stated.statement.topics.items():
            self.given[topic] = max(self.given.get(topic, 0), told.given)
            self.confirmed[topic] = max(self.confirmed.get(topic, 0), told.confirmed_through)
            self.durable[topic] = max(self.durable.get(topic, 0), told.durable_through)
            self.stream(topic).mark("never_durable", list(told.never_durable))

    @property
    def has_ended(self) -> bool:
        """Whether its end was stated."""
        return self.latest is not None and self.latest.statement.ended != ""

    @property
    def has_proven_end(self) -> bool:
        """Whether its end was stated, and all was read since that was there then."""
        return self.due is not None and self.due.statement.ended != ""

    def note_confirmed(self, confirmed: dict[str, int]) -> None:
        """Note that all numbers up to these, by topic, have been judged: how long the life is proven."""
        while self.given_at and all(given <= confirmed.get(name, 0) for name, given in self.given_at[0][1].items()):
            self.proven_ms = self.given_at.pop(0)[0]


def is_unclean(statement: Statement) -> bool:
    """Whether it states an end that may leave records in journals, for others of the folder to take over."""
    if not statement.ended:
        return False
    all_confirmed = all(one.confirmed_through >= one.given for one in statement.topics.values())
    return statement.ended == "killed" or not all_confirmed or statement.taken_over > 0


def _patience_ms(latest: Stated) -> float:
    return SILENT_AFTER_INTERVALS * 1000 * latest.statement.interval_s
