"""`consumers run audit` on a real Kafka, whose topics others write to, empty, delete and make again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from common.audit.header import HEADER
from tests.support.audit_stage import AuditStage
from tests.support.broker import Broker
from tests.support.numbered import NumberedIngress, delete_records, missing, run_audit, wait_for_audit
from tests.support.topic import Topics, add_partitions, configure, create_topic, delete_topic
from tests.support.waiting import wait_until
from tests.support.workers import StartWorker


@pytest.fixture
def stage(broker: Broker, topics: Topics, start_worker: StartWorker) -> AuditStage:
    return AuditStage(broker, topics, start_worker)


@pytest.mark.slow
def test_of_a_topic_that_is_made_anew_while_it_is_read_all_is_read_and_nothing_false_is_told(
    stage: AuditStage,
) -> None:
    stage.start()
    ingress = stage.ingress()
    ingress.take(400)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 400)
    delete_topic(stage.bootstrap, stage.topics.events)
    create_topic(stage.bootstrap, stage.topics.events)
    ingress.take(100, without=[450])
    ingress.state()
    told = wait_for_audit(stage.bootstrap, stage.audit_topic, lambda told: told.counts.missing, timeout=60)
    told = wait_for_audit(stage.bootstrap, stage.audit_topic, lambda told: told.counts.arrived == 499, timeout=60)
    assert missing(told) == [("a", 1, 450, 450)]
    assert sum(one.count for one in told.gone) >= 300, "what had been read is gone"


@pytest.mark.slow
def test_whoever_may_write_can_not_end_the_audit_nor_split_it(stage: AuditStage) -> None:
    add_partitions(stage.bootstrap, stage.audit_topic, 3)
    processes = [stage.start(), stage.start()]
    ingress = stage.ingress()
    ingress.take(100)
    ingress.state(given=2**62)
    ingress.state(interval_s=1e300)
    ingress.state()
    told = stage.wait(lambda told: told.counts.arrived == 100 and told.complete_until)
    assert told.counts.acknowledged == 100
    states = sorted(process.metric("consumers_audit_active") for process in processes)
    assert states == [0, 1]
    for process in processes:
        assert process.terminate() == 0


HOSTILE: list[bytes | None] = [
    None,
    b"",
    b"\xff\xfe\x00",
    b"a/1/-5",
    b"a/1/0",
    b"a/1/99999999999999999",
    b"a/9999999999/7",
    b"a/1/" + b"9" * 900_000,
    "a/1/\u0665".encode(),
    b"a/1/5\n",
]
FAR_MS = [0, 1, 253_402_300_800_000, 2**62]


def test_whoever_may_write_records_neither_ends_the_audit_nor_hides_a_loss(stage: AuditStage) -> None:
    process = stage.start()
    ingress = stage.ingress()
    ingress.take(50)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 50)
    producer = Producer({"bootstrap.servers": stage.bootstrap, "log_level": 0})
    for number, value in enumerate(HOSTILE * len(FAR_MS)):
        at_ms = FAR_MS[number // len(HOSTILE)]
        producer.produce(stage.topics.events, b"{}", partition=number % 4, headers=[(HEADER, value)], timestamp=at_ms)
    for number in range(3000):
        header = (HEADER, b"made%d/%d/%d" % (number, number + 1, 10**17 + number))
        producer.produce(stage.topics.events, b"{}", partition=number % 4, headers=[header])
    assert producer.flush(60) == 0
    ingress.take(50, without=[77])
    ingress.state()
    told = stage.wait(lambda told: told.counts.missing)
    assert missing(told) == [("a", 1, 77, 77)]
    assert len(told.lives) < 500
    assert process.terminate() == 0
    stage.start()
    told = stage.wait(lambda told: told.counts.missing)
    assert missing(told) == [("a", 1, 77, 77)]


def was_emptied(stage: AuditStage) -> bool:
    """Whether the topic for the audit could be emptied: of one that is compacted a broker deletes nothing."""
    try:
        delete_records(stage.bootstrap, stage.audit_topic, 0, -1)
    except KafkaException:
        return False
    return True


def empty(stage: AuditStage) -> None:
    configure(stage.bootstrap, stage.audit_topic, "cleanup.policy", "delete")
    wait_until(lambda: was_emptied(stage), timeout=30, what="the broker to have heard of it")


def make_anew(stage: AuditStage) -> None:
    delete_topic(stage.bootstrap, stage.audit_topic)
    create_topic(stage.bootstrap, stage.audit_topic, partitions=1, config={"cleanup.policy": "compact"})


@pytest.mark.parametrize("change", [empty, make_anew])
def test_the_topic_of_the_audit_may_be_emptied_or_made_anew_while_it_runs(
    stage: AuditStage, change: Callable[[AuditStage], None]
) -> None:
    stage.start()
    ingress = stage.ingress()
    ingress.take(100, without=[50])
    ingress.state()
    stage.wait(lambda told: told.counts.missing)
    change(stage)
    ingress.take(100, without=[150])
    ingress.state()
    told = wait_for_audit(stage.bootstrap, stage.audit_topic, lambda told: told.counts.missing == 2, timeout=60)
    assert missing(told) == [("a", 1, 50, 50), ("a", 1, 150, 150)]
    assert (told.counts.arrived, told.counts.duplicates) == (198, 0)


def test_a_topic_that_comes_back_with_fewer_partitions_is_read_on(stage: AuditStage) -> None:
    process = stage.start()
    ingress = stage.ingress()
    ingress.take(40)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 40)
    delete_topic(stage.bootstrap, stage.topics.events)
    ingress.state()
    process.wait_for(
        lambda: process.metric("consumers_audit_records", state="arrived") == 40, what="the audit, without the topic"
    )
    create_topic(stage.bootstrap, stage.topics.events, partitions=2)
    fewer = NumberedIngress(stage.bootstrap, stage.topics.events, stage.audit_topic, process="b", partitions=2)
    fewer.take(40, without=[20])
    fewer.state()
    told = wait_for_audit(stage.bootstrap, stage.audit_topic, lambda told: told.counts.missing, timeout=120)
    assert missing(told) == [("b", 1, 20, 20)]
    assert {(one.partition, one.count) for one in told.gone} >= {(2, 10), (3, 10)}
    assert process.terminate() == 0


def test_of_a_window_that_retention_has_reached_it_is_said_that_not_all_is_known(stage: AuditStage) -> None:
    hour_ms = 3_600_000
    ingress = stage.ingress()
    ingress.started_ms -= 50 * hour_ms
    ingress.take(40, received_ms=ingress.started_ms)
    ingress.take(40, received_ms=ingress.started_ms + 30 * hour_ms)
    ingress.take(40)
    ingress.state(interval_s=3600)
    configure(stage.bootstrap, stage.topics.events, "retention.ms", str(24 * hour_ms))
    for partition in range(4):
        delete_records(stage.bootstrap, stage.topics.events, partition, 10)

    def window(*arguments: str) -> tuple[int, dict[str, Any]]:
        of_topic = {"CONSUMERS_TOPIC": stage.topics.events}
        done = run_audit(stage.bootstrap, stage.audit_topic, "--from", *arguments, "--json", **of_topic)
        return done.returncode, json.loads(done.stdout)

    for arguments, arrived in ((("99999999999d",), 80), (("60d", "--to", "49h"), 0)):
        status, told = window(*arguments)
        assert (status, told["arrived"], told["missing"]) == (3, arrived, 0)
        assert told["begins"] is not None
    for arguments, arrived in ((("23h",), 80), (("10h",), 40), (("10h", "--to", "1h"), 0)):
        status, told = window(*arguments)
        assert (status, told["arrived"], told["missing"], told["begins"]) == (0, arrived, 0, None)
