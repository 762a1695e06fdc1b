"""What a ledger says, for people and programs: sums, processes, gaps, and until when all is proven."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import msgspec

from common.timestamps import rfc3339
from consumers.audit.ledger import AuditLedger
from consumers.audit.life import AuditedLife
from consumers.audit.partition_log import LostPart
from consumers.audit.seen_numbers import Gap
from consumers.audit.stream import GapKind, StreamCount

MAX_GAPS = 1000
TOLD_KINDS: tuple[GapKind, ...] = ("missing", "unproven", "expired", "set_aside", "forgotten")
LifeState = Literal["living", "silent", "stopped", "killed", "forgotten", "not stated"]


class GapReport(msgspec.Struct, kw_only=True):
    """Numbers that are not there."""

    kind: GapKind | Literal["waiting"]
    """`waiting` in a window alone: it cannot be said yet whether they are to be there."""
    process: str
    epoch: int
    topic: str
    first: int
    last: int
    count: int
    """How many numbers; fewer than from `first` to `last` where these are many gaps, of which only the sum is kept."""
    after: str | None
    """When the record before them was received, RFC 3339; None where there is none."""
    before: str | None
    """When the record behind them was received; None where there is none."""


class LifeReport(msgspec.Struct, kw_only=True):
    """One life of a process."""

    process: str
    epoch: int
    state: LifeState
    host: str
    pid: int
    folder: str
    started: str | None
    stated: str | None
    """When it made its last statement, by its own clock."""
    is_settled: bool
    """Whether it has ended, and nothing more is expected of it."""
    counts: StreamCount


class GoneReport(msgspec.Struct, kw_only=True):
    """Records that are gone from a log, though retention cannot have taken them."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    count: int
    was_read: bool
    """Whether the audit had read them: then they count as arrived."""
    after: str | None
    before: str | None
    noticed: str


class AuditReport(msgspec.Struct, kw_only=True):
    """The ledger in words and numbers."""

    time: str
    """Of what moment it is."""
    begun: str
    complete_until: str | None
    """All that was taken until then is on the topics, but for what is told; None: nothing is known yet."""
    counts: StreamCount
    gone_records: int
    """Records that were read, and are gone before their time."""
    silent: list[str]
    """Lives that say nothing any more, though their end was not stated, or have never said anything."""
    lives: list[LifeReport]
    retired_lives: int
    """Lives that are only in the sums."""
    gaps: list[GapReport]
    more_gaps: bool
    """Whether there are more than are listed."""
    gone: list[GoneReport]
    unnumbered: int
    """Records without a number."""
    unreadable: int = 0
    """Statements that this version cannot read."""

    @property
    def is_lossless(self) -> bool:
        """Whether nothing is known to be lost."""
        return not (self.counts.missing or self.gone or self.gone_records)

    @property
    def is_proven(self) -> bool:
        """Whether nothing keeps the audit from knowing."""
        return not (self.counts.unproven or self.counts.expired or self.silent)


def summarize(ledger: AuditLedger, now_ms: int) -> AuditReport:
    """What a ledger says now, Unix milliseconds."""
    counts = StreamCount()
    counts.add(ledger.retired.counts)
    lives: list[LifeReport] = []
    for life in ledger.lives.values():
        report = _life(life, ledger, now_ms)
        counts.add(report.counts)
        lives.append(report)
    gaps = list(islice(gaps_of(ledger), MAX_GAPS + 1))
    until = complete_until_ms(ledger)
    return AuditReport(
        time=rfc3339(ledger.time_ms),
        begun=rfc3339(ledger.begun_ms),
        complete_until=None if until is None else rfc3339(until),
        counts=counts,
        gone_records=ledger.lost_records,
        silent=[f"{one.process}/{one.epoch}" for one in lives if one.state == "silent"],
        lives=lives,
        retired_lives=ledger.retired.lives,
        gaps=gaps[:MAX_GAPS],
        more_gaps=len(gaps) > MAX_GAPS,
        gone=list(_gone(ledger)),
        unnumbered=ledger.unnumbered,
        unreadable=ledger.unreadable,
    )


def complete_until_ms(ledger: AuditLedger) -> int | None:
    """Until when all that was taken is on the topics or told apart, Unix ms; None: nothing is known yet."""
    stated = [life for life in ledger.lives.values() if life.latest is not None and not life.is_forgotten]
    open_ms = [life.proven_ms for life in stated if not life.is_settled]
    ended_ms = [life.latest.statement.time_ms for life in stated if life.latest is not None]
    return min(open_ms, default=max(ended_ms, default=None))


def state_of(life: AuditedLife, ledger: AuditLedger, now_ms: int) -> LifeState:
    """How a process is, in one of its lives."""
    if life.is_forgotten:
        return "forgotten"
    if life.latest is None:
        return "silent" if life.is_unstated(ledger.begun_ms, now_ms) else "not stated"
    if life.latest.statement.ended:
        return life.latest.statement.ended
    return "silent" if life.is_silent(now_ms, ledger.listening_ms) else "living"


def count_of(life: AuditedLife) -> StreamCount:
    """The numbers of a life, of all topics."""
    counts = StreamCount()
    for topic in {**life.given, **life.streams}:
        counts.add(life.stream(topic).count(life.given.get(topic, 0)))
    return counts


def _life(life: AuditedLife, ledger: AuditLedger, now_ms: int) -> LifeReport:
    statement = life.latest.statement if life.latest is not None else None
    return LifeReport(
        process=life.process,
        epoch=life.epoch,
        state=state_of(life, ledger, now_ms),
        host=statement.host if statement else "",
        pid=statement.pid if statement else 0,
        folder=statement.folder if statement else "",
        started=rfc3339(statement.started_ms) if statement else None,
        stated=rfc3339(statement.time_ms) if statement else None,
        is_settled=life.is_settled,
        counts=count_of(life),
    )


def gaps_of(ledger: AuditLedger) -> Iterator[GapReport]:
    """All that a ledger names, losses first."""
    for kind in TOLD_KINDS:
        for life in ledger.lives.values():
            for topic, stream in life.streams.items():
                folded = (
                    (one.first, one.last, one.missing, one.after_ms, one.before_ms)
                    for one in stream.folded
                    if one.kind == kind
                )
                for first, last, count, after_ms, before_ms in folded:
                    gap = gap_report(kind, life, topic, Gap(first, last, after_ms, before_ms))
                    yield msgspec.structs.replace(gap, count=count)
                for one in stream.gaps(kind):
                    yield gap_report(kind, life, topic, one)


def gap_report(kind: GapKind | Literal["waiting"], life: AuditedLife, topic: str, gap: Gap) -> GapReport:
    """What is said of a gap."""
    return GapReport(
        kind=kind,
        process=life.process,
        epoch=life.epoch,
        topic=topic,
        first=gap.first,
        last=gap.last,
        count=gap.size,
        after=_time(gap.after_ms),
        before=_time(gap.before_ms),
    )


def _gone(ledger: AuditLedger) -> Iterator[GoneReport]:
    for part in ledger.lost_parts:
        yield _gone_part(part)
    for log in ledger.logs.values():
        for jump in log.jumps:
            if jump.is_early:
                yield GoneReport(
                    topic=log.topic,
                    partition=log.partition,
                    first_offset=jump.first,
                    last_offset=jump.end - 1,
                    count=jump.end - jump.first,
                    was_read=False,
                    after=rfc3339(jump.before_ms),
                    before=rfc3339(jump.after_ms),
                    noticed=rfc3339(jump.noticed_ms),
                )


def _gone_part(part: LostPart) -> GoneReport:
    return GoneReport(
        topic=part.topic,
        partition=part.partition,
        first_offset=part.first,
        last_offset=part.end - 1,
        count=part.count,
        was_read=True,
        after=_time(part.after_ms),
        before=_time(part.before_ms),
        noticed=rfc3339(part.noticed_ms),
    )


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)
