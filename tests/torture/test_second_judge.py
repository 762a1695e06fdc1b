"""The two judges of a run: each finds what the other cannot see, and a run passes only with both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.timestamps import rfc3339
from consumers.audit.stream import StreamCount
from consumers.audit.summary import AuditReport, GapReport
from tests.support.audit_judge import AuditProcess, AuditVerdict, complaints, wait_for_audit_of, wait_for_verdict
from tests.support.broker import Broker
from tests.support.load import SentCallback
from tests.support.numbered import NumberedIngress, read_audit, wait_for_audit
from tests.support.topic import Topics, create_topic, read_all
from tests.support.verdict import DeliveryVerdict, verdict
from tests.torture.verdict import Report

DRAINED = "2026-11-26T12:04:55.000Z"
GOOD = AuditReport(
    time="2026-11-26T12:05:02.000Z",
    begun="2026-11-26T12:00:00.000Z",
    complete_until="2026-11-26T12:04:56.000Z",
    counts=StreamCount(acknowledged=9, arrived=9, duplicates=2, never_durable=3),
    gone_records=0,
    silent=[],
    lives=[],
    retired_lives=0,
    gaps=[],
    more_gaps=False,
    gone=[],
    unnumbered=0,
)
GAP = GapReport(
    kind="missing", process="a", epoch=7, topic="im.events", first=3, last=4, count=2, after=None, before=None
)


def counted(**counts: int) -> AuditReport:
    return msgspec.structs.replace(GOOD, counts=msgspec.structs.replace(GOOD.counts, **counts), gaps=[GAP])


def test_all_that_was_acknowledged_is_there_however_often_and_whatever_was_not_acknowledged() -> None:
    assert complaints(GOOD, DRAINED) == []


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (None, "there is no ledger"),
        (counted(missing=2), "2 are missing: a/7 im.events 3-4"),
        (counted(waiting=1), "1 are still waited for"),
        (counted(unproven=1), "1 are unproven"),
        (counted(expired=1), "1 are expired"),
        (counted(set_aside=1), "1 are set_aside"),
        (counted(forgotten=1), "1 are forgotten"),
        (counted(before=1), "1 are before"),
        (counted(arrived=0), "no record has arrived"),
        (msgspec.structs.replace(GOOD, silent=["a/7"]), "silent, though nobody has said that they ended: a/7"),
        (msgspec.structs.replace(GOOD, gone_records=3), "3 were read and are gone"),
        (msgspec.structs.replace(GOOD, unnumbered=3), "3 records have no number"),
        (msgspec.structs.replace(GOOD, complete_until=None), "complete until None"),
        (
            msgspec.structs.replace(GOOD, complete_until="2026-11-26T12:04:54.999Z"),
            "complete until 2026-11-26T12:04:54.999Z, and all was there at",
        ),
    ],
    ids=lambda value: value.split(" im")[0].split(" 2026")[0] if isinstance(value, str) else "",
)
def test_whatever_is_missing_or_not_proven_fails_the_run(report: AuditReport | None, why: str) -> None:
    told = wait_for_verdict(lambda: report, DRAINED, timeout=0)
    assert len(told.complaints) == 1
    assert told.complaints[0].startswith(why)
    assert not run_with(told, delivery=verdict([], [])).ok


def test_a_run_fails_by_either_judge_alone() -> None:
    agreed, kept = AuditVerdict(GOOD, []), verdict([], [])
    lost = verdict([SentCallback("a", 1, "key", 0.0, acknowledged=True)], [])
    assert run_with(agreed, delivery=kept).ok
    assert not run_with(agreed, delivery=lost).ok
    assert not run_with(AuditVerdict(counted(missing=2), ["2 are missing"]), delivery=kept).ok


def test_of_a_planted_loss_that_nobody_waits_for_the_audit_alone_knows(broker: Broker, tmp_path: Path) -> None:
    """One callback of a hundred was refused, but its number was given, and confirmed; what came of it is not there."""
    topics = Topics.unique()
    topics.create(broker.bootstrap)
    create_topic(broker.bootstrap, topics.audit, partitions=1, config={"cleanup.policy": "compact"})
    bridge = NumberedIngress(broker.bootstrap, topics.events, topics.audit, value=event("a", 1))
    acknowledged = [SentCallback("a", 1, "key-1", 0.0, acknowledged=True)]
    with AuditProcess(tmp_path, broker.bootstrap, topics).start_ready():
        bridge.take(100, without=[40])
        bridge.state(ended="stopped")
        wait_for_audit(broker.bootstrap, topics.audit, lambda told: told.counts.missing)
        first = verdict(acknowledged, (one.event for one in read_all(broker.bootstrap, topics.events)))
        second = wait_for_audit_of(broker.bootstrap, topics, timeout=0)
        assert first.ok
        assert any(f"1 are missing: a/1 {topics.events} 40-40" in one for one in second.complaints)
        assert not run_with(second, delivery=first).ok
        bridge.publish([40])
        then = rfc3339(bridge.started_ms)
        assert wait_for_verdict(lambda: read_audit(broker.bootstrap, topics.audit), then, timeout=20).ok


def event(account: str, number: int) -> bytes:
    return msgspec.json.encode({"id": f"{account}-{number}", "subject": account, "data": {"msg_key": f"key-{number}"}})


def run_with(audit: AuditVerdict, *, delivery: DeliveryVerdict) -> Report:
    """A run in which all else is well."""
    good: dict[str, Any] = {"wrong_in_redis": [], "wrong_on_topic": [], "damaged_journals": 0}
    return Report(seed=1, sent=[], delivery=delivery, audit=audit, drained_after=1.0, badges_after=1.0, **good)
