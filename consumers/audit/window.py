"""Audits what was received within a time: reads the topics again, without the ledger's memory of what was there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from common.audit.statement import Statement
from common.timestamps import rfc3339
from consumers.audit.ledger import AuditLedger
from consumers.audit.ranges import NumberRange, union, without
from consumers.audit.reading import TopicReading
from consumers.audit.stored_ledger import find_ledgers
from consumers.audit.summary import MAX_GAPS, GapReport, GoneReport, gap_report, gaps_of, summarize
from consumers.audit.window_tally import ReadWindow, WindowTally
from consumers.settings import ConsumersSettings

SUMMED_KINDS = ("missing", "unproven", "expired", "waiting")


class WindowReport(msgspec.Struct, kw_only=True):
    """What the topics have of a time."""

    since: str
    until: str
    begins: str | None
    """What was received before is not on the topics any more, at least in part: retention may have taken it. None: all
    may be there."""
    arrived: int
    """Records that were received then and are on the topics, each counted once."""
    duplicates: int
    missing: int
    unproven: int
    expired: int
    waiting: int
    """Not there, and it cannot be said yet whether they are to be: in a journal, or on their way."""
    gaps: list[GapReport]
    """Those that may be of that time."""
    more_gaps: bool
    """Whether there are more than are listed."""
    gone: list[GoneReport]
    """Records that are gone from the logs before their time, as the ledger knows."""
    silent: list[str]
    """Lives that have stated nothing of the end of that time, or of later, and whose end was not stated; or nothing at
    all."""

    @property
    def is_lossless(self) -> bool:
        """Whether nothing is known to be lost."""
        return not (self.missing or self.gone)

    @property
    def is_proven(self) -> bool:
        """Whether nothing keeps anybody from knowing."""
        return not (self.unproven or self.expired or self.waiting or self.silent or self.begins)


async def audit_window(settings: ConsumersSettings, from_ms: int, to_ms: int) -> WindowReport:
    """Read the topics from a time on, to their ends of now: what was kept during an outage stands further behind.

    Args:
        settings: of the connection and the topics.
        from_ms, to_ms: Unix milliseconds.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    tally = WindowTally(ReadWindow(from_ms, to_ms))
    window = tally.window
    ledger = AuditLedger(begun_ms=window.begin_ms)
    found = await find_ledgers(settings.kafka_client(), settings.audit_topic)
    reading = TopicReading(
        settings.kafka_client,
        ledger,
        settings.audit_topic,
        {settings.topic, settings.dlq_topic},
        after_judging=_nothing,
        tally=tally,
    )
    await reading.run(until_due=True)
    books = [ledger] if found.latest is None else [ledger, found.latest]
    gaps = [gap for gap in _all_gaps(ledger, found.latest) if _may_be_of(gap, _statement(gap, books), window)]
    known = summarize(found.latest, ledger.time_ms).gone if found.latest is not None else []
    return WindowReport(
        since=rfc3339(from_ms),
        until=rfc3339(to_ms),
        begins=rfc3339(min(tally.expired_until_ms, to_ms)) if tally.expired_until_ms > from_ms else None,
        arrived=tally.arrived,
        duplicates=tally.again,
        **{kind: sum(gap.count for gap in gaps if gap.kind == kind) for kind in SUMMED_KINDS},
        gaps=gaps[:MAX_GAPS],
        more_gaps=len(gaps) > MAX_GAPS,
        gone=[one for one in known if one.was_read and _overlaps(one.after, one.before, window)],
        silent=[
            name
            for name, life in ledger.lives.items()
            if life.is_unheard(window.to_ms) or life.is_unstated(window.from_ms, window.to_ms)
        ],
    )


def _all_gaps(ledger: AuditLedger, stored: AuditLedger | None) -> Iterator[GapReport]:
    """Those that were found now, of those that the ledger knows the ones that were not seen now, and what waits.

    Numbers that are not there at the edge of what was read have no record before or behind them here.
    """
    yield from gaps_of(ledger)
    told: dict[tuple[str, str], list[NumberRange]] = {}
    for gap in () if stored is None else gaps_of(stored):
        name = f"{gap.process}/{gap.epoch}"
        life = ledger.lives.get(name)
        stream = life.streams.get(gap.topic) if life is not None else None
        for first, last in without([(gap.first, gap.last)], [] if stream is None else stream.decided()):
            size = last - first + 1 if gap.count == gap.last - gap.first + 1 else gap.count
            told.setdefault((name, gap.topic), []).append((first, last))
            yield msgspec.structs.replace(gap, first=first, last=last, count=size)
    for name, life in ledger.lives.items():
        for topic, stream in life.streams.items():
            for one in stream.open_gaps(life.given.get(topic, 0), but=union(told.get((name, topic), ()))):
                yield gap_report("waiting", life, topic, one)


def _statement(gap: GapReport, books: Sequence[AuditLedger]) -> Statement | None:
    """The last statement of the life that a gap is of."""
    lives = (one.lives.get(f"{gap.process}/{gap.epoch}") for one in books)
    return next((life.latest.statement for life in lives if life is not None and life.latest is not None), None)


def _may_be_of(gap: GapReport, statement: Statement | None, window: ReadWindow) -> bool:
    """Whether numbers may be of a window; where no record lies before or behind them, their life began, or has ended.

    The clock of a process may have been set back since it began: then that is no bound.
    """
    after, before = gap.after, gap.before
    if statement is not None and before is None and statement.ended:
        end = rfc3339(statement.time_ms)
        before = end if after is None or after <= end else None
    if statement is not None and after is None:
        begun = rfc3339(statement.started_ms)
        after = begun if before is None or begun <= before else None
    return _overlaps(after, before, window)


def _overlaps(after: str | None, before: str | None, window: ReadWindow) -> bool:
    is_late_enough = before is None or before >= rfc3339(window.from_ms)
    return is_late_enough and (after is None or after <= rfc3339(window.to_ms))


async def _nothing() -> None:
    """There is nothing to be done each time."""
