"""`consumers run audit` on a real Kafka: losses that are planted are found and named, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.timestamps import rfc3339
from tests.support.audit_stage import AuditStage
from tests.support.broker import Broker
from tests.support.numbered import NumberedIngress, delete_records, missing, run_audit
from tests.support.topic import Topics, configure, create_topic
from tests.support.workers import StartWorker


@pytest.fixture
def stage(broker: Broker, topics: Topics, start_worker: StartWorker) -> AuditStage:
    return AuditStage(broker, topics, start_worker)


def test_all_that_is_there_is_counted_and_what_lacks_is_named_with_its_time(stage: AuditStage) -> None:
    stage.start()
    ingress = stage.ingress()
    ingress.take(1000)
    ingress.state()
    told = stage.wait(lambda told: told.counts.arrived == 1000 and told.complete_until)
    assert told.counts.missing == 0
    assert told.is_lossless
    ingress.take(500, without=range(1200, 1204))
    ingress.publish([7, 8])
    ingress.state()
    told = stage.wait(lambda told: told.counts.missing)
    assert missing(told) == [("a", 1, 1200, 1203)]
    [gap] = told.gaps
    assert gap.topic == stage.topics.events
    assert gap.after is not None
    assert gap.before is not None
    assert gap.after <= gap.before <= told.time
    assert (told.counts.acknowledged, told.counts.arrived, told.counts.duplicates) == (1500, 1496, 2)
    ingress.publish([1201, 1200, 1203, 1202])
    ingress.state()
    told = stage.wait(lambda told: not told.counts.missing)
    assert told.counts.arrived == 1500
    assert told.counts.duplicates == 2


def test_the_command_says_it_in_plain_words_and_by_its_status(stage: AuditStage) -> None:
    nothing = run_audit(stage.bootstrap, stage.audit_topic)
    assert nothing.returncode == 3
    assert "start" in nothing.stderr
    assert "run audit" in nothing.stderr
    process = stage.start()
    ingress = stage.ingress()
    ingress.take(1234)
    ingress.state()
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 1234)
    well = run_audit(stage.bootstrap, stage.audit_topic)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "1,234 acknowledged, 0 missing, complete until 20" in well.stdout
    assert "a/1  living" in well.stdout
    ingress.take(10, without=[1240])
    ingress.state()
    stage.wait(lambda told: told.counts.missing)
    lossy = run_audit(stage.bootstrap, stage.audit_topic)
    assert lossy.returncode == 1
    assert f"missing  a/1 {stage.topics.events}, number 1,240, received between 20" in lossy.stdout
    parsed = json.loads(run_audit(stage.bootstrap, stage.audit_topic, "--json").stdout)
    assert parsed["counts"]["missing"] == 1
    assert parsed["gaps"][0]["first"] == 1240
    process.wait_for_log("1 records that were acknowledged are not on the topics: a/1")
    assert process.metric("consumers_audit_records", state="missing") == 1
    assert process.metric("consumers_audit_active") == 1
    assert process.terminate() == 0


def test_records_that_are_deleted_before_they_are_read_are_missing(stage: AuditStage) -> None:
    process = stage.start()
    ingress = stage.ingress()
    ingress.take(400)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 400)
    assert process.terminate() == 0
    ingress.take(400)
    delete_records(stage.bootstrap, stage.topics.events, 1, 150)
    ingress.take(400)
    ingress.state()
    stage.start()
    told = stage.wait(lambda told: told.counts.missing)
    assert missing(told) == [("a", 1, number, number) for number in range(401, 600, 4)]
    assert told.counts.expired == 0
    gone = [(one.partition, one.first_offset, one.last_offset, one.was_read) for one in told.gone]
    assert gone == [(1, 0, 99, True), (1, 100, 149, False)]


def test_records_that_are_deleted_before_the_audit_began_are_missing_where_retention_cannot_have_taken_them(
    stage: AuditStage,
) -> None:
    ingress = stage.ingress()
    ingress.take(40)
    delete_records(stage.bootstrap, stage.topics.events, 2, 3)
    ingress.state()
    stage.start()
    told = stage.wait(lambda told: told.counts.missing)
    assert missing(told) == [("a", 1, 2, 2), ("a", 1, 6, 6), ("a", 1, 10, 10)]


def test_records_that_are_deleted_after_they_were_read_are_told_with_partition_and_offsets(stage: AuditStage) -> None:
    process = stage.start()
    ingress = stage.ingress()
    ingress.take(400)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 400)
    delete_records(stage.bootstrap, stage.topics.events, 3, 60)
    told = stage.wait(lambda told: told.gone)
    [gone] = told.gone
    assert (gone.topic, gone.partition, gone.first_offset, gone.last_offset) == (stage.topics.events, 3, 0, 59)
    assert gone.was_read
    assert told.counts.missing == 0
    assert not told.is_lossless
    process.wait_for_log("records of .* that were read are gone, and retention has not taken them")
    window = run_audit(
        stage.bootstrap, stage.audit_topic, "--from", "1h", "--json", CONSUMERS_TOPIC=stage.topics.events
    )
    assert window.returncode == 1
    assert json.loads(window.stdout)["missing"] == 60


def test_what_retention_takes_is_no_loss(stage: AuditStage) -> None:
    ingress = stage.ingress()
    ingress.started_ms -= 50 * 3_600_000
    old_ms = ingress.started_ms + 3_600_000
    process = stage.start()
    ingress.take(40, received_ms=old_ms)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 40)
    configure(stage.bootstrap, stage.topics.events, "retention.ms", str(24 * 3_600_000))
    # What the cleaner of the broker does now and then, done at once.
    delete_records(stage.bootstrap, stage.topics.events, 1, 10)
    assert process.terminate() == 0
    ingress.take(40, received_ms=old_ms + 1000)
    delete_records(stage.bootstrap, stage.topics.events, 0, 20)
    ingress.take(40)
    ingress.state()
    process = stage.start()
    told = stage.wait(lambda told: told.counts.arrived == 110)
    assert (told.counts.missing, told.counts.expired) == (0, 10)
    assert told.gone == []
    assert run_audit(stage.bootstrap, stage.audit_topic).returncode == 3


def test_a_restart_goes_on_exactly(stage: AuditStage) -> None:
    ingress = stage.ingress()
    for number in range(4):
        process = stage.start()
        ingress.take(300, without=[number * 300 + 5])
        ingress.state()
        if number % 2:
            process.kill()
        else:
            stage.wait(lambda told: told.counts.arrived)
            assert process.terminate() == 0
    stage.start()
    told = stage.wait(lambda told: told.counts.missing == 4)
    assert (told.counts.arrived, told.counts.duplicates) == (1196, 0)
    assert missing(told) == [("a", 1, at, at) for at in (5, 305, 605, 905)]


def test_of_two_audits_one_keeps_the_ledger_and_the_other_goes_on_with_it(stage: AuditStage) -> None:
    first = stage.start()
    first.wait_for(lambda: first.metric("consumers_audit_active") == 1, what="the ledger")
    second = stage.start()
    ingress = stage.ingress()
    ingress.take(100)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 100)
    active = [one for one in (first, second) if one.metric("consumers_audit_active") == 1]
    assert len(active) == 1
    [standby] = [one for one in (first, second) if one is not active[0]]
    active[0].freeze()
    ingress.take(100, without=[150])
    ingress.state()
    standby.wait_for(lambda: standby.metric("consumers_audit_active") == 1, what="the ledger", timeout=30)
    stage.wait(lambda told: told.counts.missing == 1)
    active[0].thaw()
    ingress.take(100, without=[250])
    ingress.state()
    told = stage.wait(lambda told: told.counts.missing == 2)
    assert (told.counts.arrived, told.counts.duplicates) == (298, 0)
    assert missing(told) == [("a", 1, 150, 150), ("a", 1, 250, 250)]


def test_a_process_that_is_silent_is_named_and_can_be_given_up(stage: AuditStage) -> None:
    stage.start()
    ingress = stage.ingress("gone")
    ingress.take(10)
    ingress.state(given=15, interval_s=0.5)
    told = stage.wait(lambda told: told.silent)
    assert told.silent == ["gone/1"]
    assert run_audit(stage.bootstrap, stage.audit_topic).returncode == 3
    wrong = run_audit(stage.bootstrap, stage.audit_topic, "forget", "unknown")
    assert wrong.returncode == 1
    assert "There are gone" in wrong.stderr
    done = run_audit(stage.bootstrap, stage.audit_topic, "forget", "gone")
    assert done.returncode == 0, done.stderr
    told = stage.wait(lambda told: not told.silent)
    assert told.counts.forgotten == 5
    assert [one.state for one in told.lives] == ["forgotten"]
    assert run_audit(stage.bootstrap, stage.audit_topic).returncode == 0


def test_a_window_is_read_from_the_topics_themselves(stage: AuditStage) -> None:
    hour_ms = 3_600_000
    ingress = stage.ingress()
    ingress.started_ms -= 10 * hour_ms
    begin_ms = ingress.started_ms
    for hour in range(5):
        at = ingress.given
        ingress.take(100, without=[at + 50] if hour in {1, 3} else (), received_ms=begin_ms + hour * hour_ms)
    ingress.state()

    def window(since_h: float, until_h: float) -> tuple[int, dict[str, int]]:
        since, until = (rfc3339(int(begin_ms + hours * hour_ms)) for hours in (since_h, until_h))
        of_topic = {"CONSUMERS_TOPIC": stage.topics.events}
        done = run_audit(stage.bootstrap, stage.audit_topic, "--from", since, "--to", until, "--json", **of_topic)
        return done.returncode, json.loads(done.stdout)

    status, told = window(0.5, 2.5)
    assert (status, told["arrived"], told["missing"]) == (1, 199, 1)
    status, told = window(1.5, 2.5)
    assert (status, told["arrived"], told["missing"]) == (0, 100, 0)
    status, told = window(-1, 9)
    assert (status, told["arrived"], told["missing"]) == (1, 498, 2)


def segments(broker: Broker, topic: str) -> list[Path]:
    """The files of the only partition of a topic that hold its records, in their order."""
    return sorted((broker.folder / "data" / f"{topic}-0").glob("*.log"))


@pytest.mark.slow
def test_a_segment_that_is_cut_on_the_disk_of_a_broker_is_found(
    own_broker: Broker, topics: Topics, start_worker: StartWorker
) -> None:
    if own_broker.flavour != "jvm":
        pytest.skip("the files of a broker in a container cannot be reached")
    create_topic(own_broker.bootstrap, topics.events, partitions=1, config={"segment.bytes": str(1024 * 1024)})
    stage = AuditStage(own_broker, topics, start_worker)
    audit = stage.start()
    ingress = NumberedIngress(stage.bootstrap, topics.events, stage.audit_topic, partitions=1, value=b"x" * 10_000)
    ingress.take(250)
    ingress.state()
    stage.wait(lambda told: told.counts.arrived == 250)
    assert audit.terminate() == 0
    ingress.take(500)

    own_broker.stop()
    _, *unread, before_last, _last = segments(own_broker, topics.events)
    cut = unread[-1]
    first, last = int(cut.stem) + 1, int(before_last.stem)  # The number of a record is its offset and one.
    assert first > 250
    cut.unlink()
    own_broker.start()
    ingress.state()
    audit = stage.start()
    told = stage.wait(lambda told: told.counts.missing)
    assert missing(told) == [("a", 1, first, last)]
    assert told.gaps[0].after is not None
    assert told.gaps[0].before is not None

    own_broker.stop()
    segments(own_broker, topics.events)[-1].unlink()
    own_broker.start()
    told = stage.wait(lambda told: told.gone)
    [gone] = told.gone
    assert (gone.first_offset, gone.last_offset, gone.was_read) == (int(_last.stem), 749, True)
    ingress.take(50)
    ingress.state()
    told = stage.wait(lambda told: told.counts.arrived == 750 - (last - first + 1) + 50)
    assert missing(told) == [("a", 1, first, last)]
