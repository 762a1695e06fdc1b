"""`consumers audit --from`: what is told of a time is of that time, and nothing that lacks there is passed over."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from common.timestamps import rfc3339
from consumers.audit import reading
from consumers.audit.reading import TopicReading
from consumers.audit.window import audit_window
from consumers.settings import ConsumersSettings
from tests.support.audit_stage import AuditStage
from tests.support.broker import Broker
from tests.support.numbered import NumberedIngress, delete_records, run_audit
from tests.support.topic import Topics, delete_topic
from tests.support.workers import StartWorker

HOUR_MS = 3_600_000
NOT_PROVEN = 3
FOR_LONG = 3600.0
"""Between two statements: of a process that is not to be called silent, however slow the test is."""


@pytest.fixture
def stage(broker: Broker, topics: Topics, start_worker: StartWorker) -> AuditStage:
    return AuditStage(broker, topics, start_worker)


def window(stage: AuditStage, from_ms: int, to_ms: int | None = None) -> tuple[int, dict[str, Any]]:
    """Status of the command, and what it tells."""
    span = ["--from", rfc3339(from_ms)] + ([] if to_ms is None else ["--to", rfc3339(to_ms)])
    done = run_audit(stage.bootstrap, stage.audit_topic, *span, "--json", CONSUMERS_TOPIC=stage.topics.events)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def now_ms() -> int:
    return int(time.time() * 1000)


def old_ingress(stage: AuditStage, process: str = "a") -> NumberedIngress:
    """One that has lived for ten hours, and taken ten records nine hours ago."""
    ingress = stage.ingress(process)
    ingress.started_ms = now_ms() - 10 * HOUR_MS
    ingress.take(10, received_ms=now_ms() - 9 * HOUR_MS)
    return ingress


def test_a_process_that_says_nothing_any_more_keeps_its_time_from_being_proven(stage: AuditStage) -> None:
    ingress = stage.ingress()
    ingress.take(10, received_ms=now_ms() - 2 * HOUR_MS)
    ingress.started_ms = now_ms() - 3 * HOUR_MS
    ingress.state(time_ms=now_ms() - HOUR_MS)
    status, told = window(stage, now_ms() - 3 * HOUR_MS)
    assert (status, told["arrived"], told["missing"], told["silent"]) == (NOT_PROVEN, 10, 0, ["a/1"])
    status, told = window(stage, now_ms() - 3 * HOUR_MS, now_ms() - 2 * HOUR_MS + 60_000)
    assert (status, told["arrived"], told["silent"]) == (0, 10, []), "of that time it has stated all"
    shown = run_audit(stage.bootstrap, stage.audit_topic, "--from", "3h", CONSUMERS_TOPIC=stage.topics.events)
    assert "a/1 has stated nothing of the end of that time" in shown.stderr


def test_a_process_that_has_never_stated_anything_is_silent_and_nothing_of_it_is_proven(stage: AuditStage) -> None:
    stage.start()
    another = stage.ingress("b")
    another.state(interval_s=FOR_LONG)
    stage.wait(lambda told: told.lives)
    ingress = stage.ingress()
    ingress.take(10, without=[8], received_ms=now_ms() - 5)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert told["silent"] == [], "it has just begun"
    ingress.take(1, received_ms=now_ms())
    told_later = stage.wait(lambda told: told.silent, timeout=60)
    assert told_later.silent == ["a/1"]
    assert run_audit(stage.bootstrap, stage.audit_topic).returncode == NOT_PROVEN
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["silent"]) == (NOT_PROVEN, 10, ["a/1"])


def test_what_waits_in_a_journal_is_told_and_not_taken_to_be_there(stage: AuditStage) -> None:
    ingress = stage.ingress()
    ingress.take(10)
    ingress.state(given=15, interval_s=FOR_LONG)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"], told["waiting"]) == (NOT_PROVEN, 10, 0, 5)
    assert [(one["kind"], one["first"], one["last"]) for one in told["gaps"]] == [("waiting", 11, 15)]
    ingress.take(5)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["waiting"]) == (0, 15, 0)


@pytest.mark.parametrize("is_audited", [True, False], ids=["with a ledger", "without one"])
def test_a_loss_at_the_end_of_a_life_is_of_no_time_after_it(stage: AuditStage, *, is_audited: bool) -> None:
    ingress = old_ingress(stage)
    ingress.given = ingress.confirmed = 12
    ingress.state(ended="stopped", time_ms=now_ms() - 8 * HOUR_MS)
    another = stage.ingress("b")
    another.take(4)
    another.state(interval_s=FOR_LONG)
    if is_audited:
        stage.start()
        stage.wait(lambda told: told.counts.missing == 2)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"]) == (0, 4, 0)
    status, told = window(stage, now_ms() - 10 * HOUR_MS, now_ms() - 7 * HOUR_MS)
    assert (status, told["arrived"], told["missing"]) == (1, 10, 2)


def test_a_loss_at_the_beginning_of_a_life_is_of_no_time_before_it(stage: AuditStage) -> None:
    old_ingress(stage).state(ended="stopped", time_ms=now_ms() - 8 * HOUR_MS)
    another = stage.ingress("b")
    another.take(8, without=[1, 2])
    another.state(interval_s=FOR_LONG)
    status, told = window(stage, now_ms() - 10 * HOUR_MS, now_ms() - 8 * HOUR_MS)
    assert (status, told["arrived"], told["missing"]) == (0, 10, 0)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"]) == (1, 6, 2)


def test_what_the_ledger_calls_missing_is_missing_in_a_window_where_later_records_are_there(stage: AuditStage) -> None:
    """Of a process that was killed, whose last statements do not tell enough to decide it once more."""
    ingress = stage.ingress()
    ingress.take(4)
    ingress.state(looks=5)
    another = stage.ingress("b")
    another.state(looks=5)
    ingress.take(6, without=[5, 6])
    stage.start()
    ingress.state(confirmed=4, ended="killed", durable_through=10)
    stage.wait(lambda told: told.counts.waiting == 2)
    for looks in (6, 8):
        another.state(looks=looks, interval_s=FOR_LONG)
    stage.wait(lambda told: told.counts.missing == 2)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"], told["waiting"]) == (1, 8, 2, 0)


def test_records_of_a_topic_that_was_deleted_are_missing(stage: AuditStage) -> None:
    ingress = stage.ingress()
    ingress.take(10)
    ingress.state(interval_s=FOR_LONG)
    delete_topic(stage.bootstrap, stage.topics.events)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"]) == (1, 0, 10)


@pytest.mark.parametrize("lost", ["the first", "all"])
def test_what_is_lost_at_the_beginning_of_a_window_is_found_by_what_was_stated_before(
    stage: AuditStage, lost: str
) -> None:
    ingress = old_ingress(stage)
    from_ms = now_ms() - HOUR_MS
    ingress.state(time_ms=from_ms - 7000)
    ingress.take(8, without=[11, 12, 13])
    if lost == "all":
        for partition in range(4):
            delete_records(stage.bootstrap, stage.topics.events, partition, -1)
    ingress.state(interval_s=FOR_LONG)
    status, told = window(stage, from_ms)
    assert (status, told["arrived"], told["missing"]) == ((1, 5, 3) if lost == "the first" else (1, 0, 8))


def test_a_record_without_a_time_is_of_the_time_of_those_beside_it(stage: AuditStage) -> None:
    """Kafka takes no time that is far ahead of its clock: such records are published without one."""
    ingress = stage.ingress()
    ingress.take(12)
    ingress.take(8, received_ms=-1)
    ingress.take(8, without=[21])
    ingress.state(interval_s=FOR_LONG)
    stage.start()
    told = stage.wait(lambda told: told.counts.missing)
    [gap] = told.gaps
    assert (gap.first, gap.last) == (21, 21)
    assert gap.after
    assert gap.after[:4] == told.begun[:4]
    status, told_of_window = window(stage, now_ms() - HOUR_MS)
    assert (status, told_of_window["arrived"], told_of_window["missing"]) == (1, 27, 1)


def test_records_without_a_time_before_the_first_that_has_one_are_there(stage: AuditStage) -> None:
    ingress = stage.ingress(epoch=int(time.time()))
    ingress.take(20, received_ms=-1, without=[7])
    ingress.state(interval_s=FOR_LONG)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"], told["gaps"][0]["first"]) == (1, 19, 1, 7)
    ingress.take(20)
    ingress.take(20, received_ms=-1)
    ingress.state(interval_s=FOR_LONG)
    status, told = window(stage, now_ms() - HOUR_MS)
    assert (status, told["arrived"], told["missing"], told["gaps"][0]["first"]) == (1, 59, 1, 7)


async def test_it_asks_for_what_a_process_took_late_in_the_window_also_where_statements_are_read_first(
    stage: AuditStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_in_time = TopicReading._next_in_time

    def statements_first(self: TopicReading, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        return next_in_time(self, consumer) if self.is_at_tail else [TopicPartition(stage.audit_topic, 0)]

    monkeypatch.setattr(reading, "JUDGE_S", 0.0)
    monkeypatch.setattr(TopicReading, "_next_in_time", statements_first)
    early, late = old_ingress(stage), old_ingress(stage, "b")
    for number in range(3):
        early.take(1000, received_ms=now_ms() - HOUR_MS // 2 + 10_000 * number)
    early.state(interval_s=FOR_LONG)
    late.take(100, without=[60], received_ms=now_ms() - HOUR_MS // 4)
    late.state(interval_s=FOR_LONG)
    topics = {"topic": stage.topics.events, "audit_topic": stage.audit_topic}
    settings = ConsumersSettings.model_validate({"kafka_bootstrap_servers": stage.bootstrap, **topics})
    told = await audit_window(settings, now_ms() - HOUR_MS, now_ms())
    assert (told.arrived, told.missing) == (3099, 1)
