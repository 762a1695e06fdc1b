"""Scale-in strands nothing: what the chart runs before a pod goes, and on the claim of one that is gone, does so here.

The commands are those that the chart makes. A process stands for the pod, its journal's folder for the claim.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.conftest import MakeIngress
from tests.deploy.rendering import container, environment_of, one, render
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import BRIDGE, IngressProcess
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.topic import Topics, create_topic, wait_for_events

PATIENT_S = 300


def pre_stop(bridge: IngressProcess, *, linger_s: int = 0, drain_s: int = PATIENT_S) -> Process:
    """Start what the chart's preStop runs in the pod of an ingress."""
    values = {"ingress": {"scaleIn": {"lingerSeconds": linger_s, "drainSeconds": drain_s}}}
    command = container(one(render("smallest", values=values), "StatefulSet"))["lifecycle"]["preStop"]["exec"][
        "command"
    ]
    assert command[0] == "bridge"
    settings = {name: value for name, value in bridge.env.items() if name != "BRIDGE_APPS"}
    return Process([BRIDGE, *command[1:]], log=bridge.log.parent / "pre-stop.log", env=settings).start()


def drain_job(claim: Path, kafka: str, topics: Topics, *, timeout_s: int = PATIENT_S) -> tuple[int, str]:
    """Run what the chart's job runs on a claim; its status and what it says."""
    job = one(render("smallest", values={"drain": {"ordinals": [5], "timeoutSeconds": timeout_s}}), "Job")
    variables = environment_of(job)
    mounted = variables["BRIDGE_JOURNAL_DIR"]
    program, *arguments = (part.replace(mounted, str(claim)) for part in container(job)["args"])
    assert program == "bridge"
    settings = {name: value for name, value in variables.items() if not name.endswith("_FILE")}
    settings |= {"BRIDGE_KAFKA_BOOTSTRAP_SERVERS": kafka, "BRIDGE_DLQ_TOPIC": topics.dlq, "COLUMNS": "200"}
    process = Process([BRIDGE, *arguments], log=claim.parent / "drain.log", env=settings).start()
    status = process.wait(60)
    return status, process.output()


def post(bridge: IngressProcess, count: int, *, first: int = 0) -> None:
    """Callbacks, each of which is acknowledged."""
    for number in range(first, first + count):
        assert bridge.post(recalled(f"u{number}", unread=1)).status == 200


def test_a_pod_waits_until_kafka_has_its_journal_and_takes_callbacks_meanwhile(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_WORKERS="2")
    own_broker.freeze()
    post(bridge, 8)
    with pre_stop(bridge) as waiting:
        waiting.wait_for_log("bytes wait for Kafka", timeout=30)
        post(bridge, 8, first=8)
        assert waiting.running
        own_broker.thaw()
        assert waiting.wait(60) == 0
        assert "Kafka has all that the journal held" in waiting.output()
    bridge.kill()  # nothing that follows it may be needed for what was acknowledged before
    messages = wait_for_events(own_broker.bootstrap, bridge.topics.events, lambda found: len(found) >= 16)
    assert {message.event["subject"] for message in messages} == {f"u{number}" for number in range(16)}


def test_a_pod_that_holds_nothing_stays_for_as_long_as_fronts_may_not_have_noticed(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    began = time.monotonic()
    with pre_stop(bridge, linger_s=2) as waiting:
        assert waiting.wait(60) == 0
    assert time.monotonic() - began >= 2


def test_what_a_pod_could_not_publish_in_its_time_stays_in_its_claim_and_a_job_publishes_it(
    ingress: MakeIngress, topics: Topics, broker: Broker
) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}")
    post(bridge, 3)
    began = time.monotonic()
    with pre_stop(bridge, drain_s=3) as waiting:
        assert waiting.wait(60) == 1
        assert time.monotonic() - began >= 3
        assert "bytes wait for Kafka, which confirms nothing" in waiting.output()
        assert f"It stays on disk, in {bridge.journal_dir}" in waiting.output()
    bridge.terminate()

    create_topic(broker.bootstrap, topics.events)
    status, told = drain_job(bridge.journal_dir, broker.bootstrap, topics)
    assert status == 0, told
    assert f"published 3 events to {topics.events}" in told
    wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) == 3)
    assert {path.name for path in bridge.journal_dir.iterdir()} <= {"audit", "kafka-away-since"}


def test_a_job_is_content_with_an_empty_claim_and_fails_while_kafka_is_away(topics: Topics, tmp_path: Path) -> None:
    claim = tmp_path / "claim"
    claim.mkdir()
    (claim / "lost+found").mkdir(mode=0o000)
    status, told = drain_job(claim, f"127.0.0.1:{free_port()}", topics, timeout_s=3)
    assert (status, "nothing is left" in told) == (0, True), told

    store = Store.create(claim)
    record = Record(topics.events, b"k", b'{"subject":"u"}', [], 5)
    store.write([Row(1, topics.events, 1, 100, pack([record]))], [], sync=True)
    store.close()
    status, told = drain_job(claim, f"127.0.0.1:{free_port()}", topics, timeout_s=3)
    assert (status, f"left: {store.path.name} with 1 event" in told) == (1, True), told
    assert store.path.exists()


def test_a_job_never_succeeds_while_the_claim_has_records_that_kafka_refuses(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    claim = tmp_path / "claim"
    create_topic(broker.bootstrap, topics.events, config={"max.message.bytes": "10000"})
    store = Store.create(claim)
    large = Record(topics.events, b"k", b"x" * 20_000, [], 5)
    store.write([Row(1, topics.events, 1, 20_100, pack([large]))], [], sync=True)
    store.close()
    for _ in range(2):  # the second time there is no journal any more
        status, told = drain_job(claim, broker.bootstrap, topics)
        assert status == 1, told
        assert "1 record that Kafka refuses is in" in told
        assert "do not delete it" in told


def test_a_journal_that_nobody_owns_yet_is_waited_for(ingress: MakeIngress, broker: Broker, topics: Topics) -> None:
    bridge = ingress(broker, BRIDGE_ADOPT_INTERVAL_S="3600")
    store = Store.create(bridge.journal_dir)
    store.write([Row(1, topics.events, 1, 100, pack([Record(topics.events, b"k", b"{}", [], 5)]))], [], sync=True)
    store.close()
    with pre_stop(bridge, drain_s=2) as waiting:
        assert waiting.wait(60) == 1
        assert "1 journal waits to be adopted" in waiting.output()


@pytest.mark.parametrize(
    ("admin_port", "status", "told"), [("0", 2, "BRIDGE_ADMIN_PORT is 0"), ("1", 1, "nothing answers at")]
)
def test_where_nobody_can_be_asked_the_wait_ends_and_says_why(
    ingress: MakeIngress, admin_port: str, status: int, told: str
) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}", ready=False)
    bridge.env["BRIDGE_ADMIN_PORT"] = admin_port
    with pre_stop(bridge, drain_s=1) as waiting:
        assert waiting.wait(60) == status
        assert told in waiting.output()
        assert "Traceback" not in waiting.output()
