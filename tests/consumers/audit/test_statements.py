"""Statements that cannot be true cost themselves: whoever may write to the topic does not end the audit with one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from consumers.audit.checkpoint import decode_ledger, encode_ledger
from consumers.audit.judging import judge
from consumers.audit.ledger import MAX_LIVES, MAX_STATED_LIVES, AuditLedger
from consumers.audit.statements import PendingStatements
from consumers.audit.summary import summarize
from consumers.audit.window_tally import ReadWindow, WindowTally

NOW_MS = 1_800_000_000_000
TOPIC = "im.events"
TRUE = {
    "process": "a",
    "epoch": 1,
    "folder": "f",
    "host": "h",
    "pid": 1,
    "version": "1",
    "started_ms": NOW_MS - 10_000,
    "time_ms": NOW_MS,
    "interval_s": 10.0,
    "topics": {TOPIC: {"given": 5, "confirmed_through": 3}},
}


def read(*statements: dict[str, Any], key: str = "a/1") -> AuditLedger:
    """What is known when records with these values were read, judged, told, written and read again."""
    ledger = AuditLedger(begun_ms=NOW_MS - 100_000, has_caught_up=True)
    pending = PendingStatements(ledger)
    records: list[Any] = [
        SimpleNamespace(key=key.encode(), value=msgspec.json.encode(one), offset=at, timestamp=NOW_MS)
        for at, one in enumerate(statements)
    ]
    pending.read(records, NOW_MS)
    pending.note_ends({})
    pending.make_due()
    judge(ledger, NOW_MS)
    summarize(ledger, NOW_MS)
    return decode_ledger(encode_ledger(ledger))


@pytest.mark.parametrize(
    "untrue",
    [
        {"topics": {TOPIC: {"given": -1}}},
        {"topics": {TOPIC: {"given": 2**63}}},
        {"topics": {TOPIC: {"given": 5, "never_durable": [[-4, 2]]}}},
        {"set_aside": {"a/1": {TOPIC: [[1, 2**70]]}}},
        {"time_ms": 2**62},
        {"time_ms": 253_402_300_800_000},
        {"started_ms": -(10**15)},
        {"interval_s": 1e308},
        {"interval_s": 0},
        {"epoch": 2},
        {"process": "x" * 500_000},
        {"looks": 10**30},
    ],
    ids=lambda untrue: next(iter(untrue)),
)
def test_a_statement_that_cannot_be_true_is_passed_over(untrue: dict[str, Any]) -> None:
    ledger = read(TRUE, {**TRUE, **untrue})
    assert list(ledger.lives) == ["a/1"]
    latest = ledger.lives["a/1"].latest
    assert latest is not None
    assert latest.offset == 0
    assert summarize(ledger, NOW_MS).counts.missing == 3


def test_a_statement_under_the_key_of_another_life_is_passed_over() -> None:
    assert not read(TRUE, key="b/7").lives


def test_a_statement_that_was_read_and_not_due_when_the_ledger_was_kept_becomes_due_after_a_restart() -> None:
    ledger = AuditLedger(begun_ms=NOW_MS - 100_000, has_caught_up=True)
    record: Any = SimpleNamespace(key=b"a/1", value=msgspec.json.encode(TRUE), offset=0, timestamp=NOW_MS)
    PendingStatements(ledger).read([record], NOW_MS)
    ledger = decode_ledger(encode_ledger(ledger))
    pending = PendingStatements(ledger)
    assert pending.want_ends(may_be_none=False)
    pending.note_ends({})
    pending.make_due()
    judge(ledger, NOW_MS)
    assert summarize(ledger, NOW_MS).counts.missing == 3
    assert not PendingStatements(decode_ledger(encode_ledger(ledger))).want_ends(may_be_none=False)


def test_a_window_knows_a_process_behind_however_many_that_ended_before_it() -> None:
    window = ReadWindow(NOW_MS - 1000, NOW_MS)
    ledger = AuditLedger(begun_ms=window.begin_ms)
    former = {**TRUE, "ended": "stopped", "time_ms": window.begin_ms - 1}
    lives = [{**former, "epoch": epoch} for epoch in range(1, MAX_STATED_LIVES + MAX_LIVES + 1)]
    lives.append({**TRUE, "epoch": 99_999})
    records: list[Any] = [
        SimpleNamespace(key=f"a/{one['epoch']}".encode(), value=msgspec.json.encode(one), offset=at, timestamp=NOW_MS)
        for at, one in enumerate(lives)
    ]
    PendingStatements(ledger, WindowTally(window)).read(records, NOW_MS)
    assert "a/99999" in ledger.lives
