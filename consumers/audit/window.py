"""Audits what was received within a time: reads the topics again, without the ledger's memory of what was there."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from common.timestamps import rfc3339
from consumers.audit.ledger import AuditLedger
from consumers.audit.ranges import NumberRange, without
from consumers.audit.reading import ReadWindow, TopicReading
from consumers.audit.stored_ledger import find_ledgers
from consumers.audit.summary import TOLD_KINDS, GapReport, GoneReport, summarize
from consumers.settings import ConsumersSettings


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
    gaps: list[GapReport]
    """Those that may be of that time."""
    gone: list[GoneReport]
    """Records that are gone from the logs before their time, as the ledger knows."""


async def audit_window(settings: ConsumersSettings, from_ms: int, to_ms: int) -> WindowReport:
    """Read the topics from a time on, to their ends of now: what was kept during an outage stands further behind.

    Args:
        settings: of the connection and the topics.
        from_ms, to_ms: Unix milliseconds.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    window = ReadWindow(from_ms, to_ms)
    ledger = AuditLedger(begun_ms=window.begin_ms)
    found = await find_ledgers(settings.kafka_client(), settings.audit_topic)
    reading = TopicReading(
        settings.kafka_client,
        ledger,
        settings.audit_topic,
        {settings.topic, settings.dlq_topic},
        after_judging=_nothing,
        window=window,
    )
    await reading.run(until_due=True)
    gaps = [gap for gap in _all_gaps(ledger, found.latest) if _may_be_of(gap, window)]
    known = summarize(found.latest, ledger.time_ms).gone if found.latest is not None else []
    sums = {kind: sum(gap.count for gap in gaps if gap.kind == kind) for kind in ("missing", "unproven", "expired")}
    return WindowReport(
        since=rfc3339(from_ms),
        until=rfc3339(to_ms),
        begins=rfc3339(min(reading.expired_until_ms, to_ms)) if reading.expired_until_ms > from_ms else None,
        arrived=reading.arrived_in_window,
        duplicates=reading.again_in_window,
        **sums,
        gaps=[gap for gap in gaps if gap.kind in TOLD_KINDS],
        gone=[one for one in known if one.was_read and _overlaps(one.after, one.before, window)],
    )


def _all_gaps(ledger: AuditLedger, stored: AuditLedger | None) -> Iterator[GapReport]:
    """Those that were found now, and of those that the ledger knows the ones that lie beyond what was read now.

    Numbers that are not there at the edge of what was read have no record before or behind them here.
    """
    yield from summarize(ledger, ledger.time_ms).gaps
    if stored is None:
        return
    for gap in summarize(stored, stored.time_ms).gaps:
        life = ledger.lives.get(f"{gap.process}/{gap.epoch}")
        stream = life.streams.get(gap.topic) if life is not None else None
        read: list[NumberRange] = [(stream.asked_from, max(stream.judged_through, stream.seen.last))] if stream else []
        for first, last in without([(gap.first, gap.last)], [one for one in read if one[0] <= one[1]]):
            size = last - first + 1 if gap.count == gap.last - gap.first + 1 else gap.count
            yield msgspec.structs.replace(gap, first=first, last=last, count=size)


def _may_be_of(gap: GapReport, window: ReadWindow) -> bool:
    return _overlaps(gap.after, gap.before, window)


def _overlaps(after: str | None, before: str | None, window: ReadWindow) -> bool:
    is_late_enough = before is None or before >= rfc3339(window.from_ms)
    return is_late_enough and (after is None or after <= rfc3339(window.to_ms))


async def _nothing() -> None:
    """There is nothing to be done each time."""
