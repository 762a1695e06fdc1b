"""Topics that are not there: nothing is called gone or missing because a broker does not know it for a moment."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from common.audit.header import RecordNumber
from common.audit.statement import Statement, TopicStatement
from consumers.audit.absences import Absences
from consumers.audit.judging import judge
from consumers.audit.ledger import AuditLedger
from consumers.audit.life import Stated
from consumers.audit.partition_log import PartitionLog
from consumers.audit.summary import summarize

NOW_MS = 1_800_000_000_000
THERE = {"im.events": [TopicPartition("im.events", 0)], "other": [TopicPartition("other", 0)]}


def stated(topic: str, given: int) -> Stated:
    return Stated(
        1,
        Statement(
            process="a",
            epoch=1,
            folder="f",
            host="h",
            pid=1,
            version="1",
            started_ms=NOW_MS - 1000,
            time_ms=NOW_MS,
            interval_s=10,
            topics={
                topic: TopicStatement(given=given, confirmed_through=given),
                "im.events.dlq": TopicStatement(given=0),
            },
        ),
    )


@pytest.fixture
def ledger() -> AuditLedger:
    """Two records of a partition were read, of which retention has taken one."""
    log = PartitionLog("im.events", 0, begin=1)
    log.read((1, NOW_MS - 500), (1, NOW_MS - 500))
    made = AuditLedger(begun_ms=NOW_MS, has_caught_up=True, logs={"im.events/0": log})
    made.note_record("im.events", RecordNumber("a", 1, 1), NOW_MS - 600)
    made.note_record("im.events", RecordNumber("a", 1, 2), NOW_MS - 500)
    return made


def test_what_is_not_there_for_a_moment_keeps_statements_from_being_due_and_no_more(ledger: AuditLedger) -> None:
    absences = Absences(ledger, 3)
    absences.look(THERE, NOW_MS)
    assert not absences.are_open
    for _ in range(2):
        absences.look({}, NOW_MS)
        assert absences.are_open
    absences.look(THERE, NOW_MS)
    assert not absences.are_open
    assert ledger.lost_parts == []


def test_a_topic_that_was_read_and_is_deleted_is_told_once_without_what_had_expired(ledger: AuditLedger) -> None:
    absences = Absences(ledger, 3)
    for _ in range(9):
        absences.look({"other": THERE["other"]}, NOW_MS)
    assert not absences.are_open
    [lost] = ledger.lost_parts
    assert (lost.topic, lost.first, lost.end, ledger.lost_records) == ("im.events", 1, 2, 1)


def test_a_topic_that_nobody_reads_any_more_is_not_called_gone(ledger: AuditLedger) -> None:
    ledger.logs["other/0"] = PartitionLog("other", 0, position=7)
    absences = Absences(ledger, 1)
    absences.look(THERE, NOW_MS)
    assert ledger.lost_parts == []


def test_a_topic_that_was_gone_when_the_audit_began_is_no_loss_until_it_is_there(ledger: AuditLedger) -> None:
    former = stated("im.events.former", 40)
    ledger.read_statement(former, NOW_MS)
    absences = Absences(ledger, 3)
    for _ in range(2):
        absences.look(THERE, NOW_MS)
        assert absences.are_open
    absences.look(THERE, NOW_MS)
    assert not absences.are_open
    ledger.make_due([former])
    judge(ledger, NOW_MS)
    counts = summarize(ledger, NOW_MS).counts
    assert (counts.missing, counts.before) == (0, 40)
    absences.look({**THERE, "im.events.former": [TopicPartition("im.events.former", 0)]}, NOW_MS)
    assert ledger.absent_topics == []


def test_in_a_window_the_records_of_a_topic_that_is_not_there_are_asked_for(ledger: AuditLedger) -> None:
    ledger.read_statement(stated("gone", 7), NOW_MS)
    absences = Absences(ledger, 3, begins_without=False)
    for looks in range(5):
        absences.look(THERE, NOW_MS)
        assert absences.are_open == (looks < 2)
    ledger.make_due(ledger.undue_statements().values())
    judge(ledger, NOW_MS)
    assert summarize(ledger, NOW_MS).counts.missing == 7
