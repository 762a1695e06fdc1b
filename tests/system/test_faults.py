"""Promises 1, 4, 7, 8 and 10 when disk, broker or topic misbehave. Every fault comes from outside the program."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.conftest import MakeIngress
from tests.support import strace
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback, recalled
from tests.support.commands import IngressProcess
from tests.support.disk import can_mount, fill, mount, unmount
from tests.support.http import request
from tests.support.load import Load
from tests.support.ports import free_port
from tests.support.strace import injected
from tests.support.topic import TopicMessage, Topics, configure, create_topic, read_all, wait_for_events
from tests.support.verdict import verdict
from tests.support.waiting import wait_until

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


# -- The disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if not can_mount():
        pytest.skip("a file system cannot be mounted here")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, size_bytes=8 * 1024 * 1024)
    yield folder
    unmount(folder)


@contextmanager
def full(_bridge: IngressProcess, disk: Path) -> Iterator[None]:
    filler = fill(disk)
    yield
    filler.unlink()


def read_only(bridge: IngressProcess, disk: Path) -> AbstractContextManager[None]:
    # A file system with files open for writing refuses to become read-only, so the calls are made to fail as on one.
    calls = "openat,pwrite64,fdatasync,fsync,ftruncate,unlink,mkdir"
    return injected([bridge.server_pid], calls, "error=EROFS", only=journals(disk))


def failing_sync(bridge: IngressProcess, disk: Path) -> AbstractContextManager[None]:
    return injected([bridge.server_pid], "fdatasync,fsync", "error=EIO", only=journals(disk))


def journals(disk: Path) -> list[Path]:
    return [disk, disk / "journal", *(disk / "journal").iterdir()]


Fault = Callable[[IngressProcess, Path], AbstractContextManager[None]]


needs_strace = pytest.mark.skipif(not strace.is_installed(), reason="strace is not installed")
FULL = pytest.param(full)
READ_ONLY = pytest.param(read_only, marks=needs_strace)
FAILING_SYNC = pytest.param(failing_sync, marks=needs_strace)


@pytest.mark.parametrize("fault", [FULL, READ_ONLY, FAILING_SYNC])
def test_with_kafka_healthy_a_disk_that_is_hurt_costs_no_callback(
    fault: Fault, small_disk: Path, ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_JOURNAL_DIR=str(small_disk / "journal"))
    bridge.wait_for(lambda: bridge.metric("bridge_kafka_ok") == 1, what="Kafka")
    with Load(bridge.port, connections=16, rate=500) as load:
        load.wait_acknowledged(200)
        with fault(bridge, small_disk):
            bridge.wait_for(lambda: bridge.metric("bridge_disk_ok") == 0, what="the disk's failure to be seen")
            load.wait_acknowledged(500)
            assert request("GET", bridge.admin_url + "/readyz").status == 200
            assert bridge.metric("bridge_degraded") == 1
        bridge.wait_for(lambda: bridge.metric("bridge_degraded") == 0, what="the disk to be used again")
        load.wait_acknowledged(200)
    assert not load.refused
    assert not load.slow()
    judge(load, own_broker, bridge)


def test_a_read_only_disk_with_a_backlog_is_no_reason_not_to_start(
    small_disk: Path, ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress("127.0.0.1:1", BRIDGE_JOURNAL_DIR=str(small_disk / "journal"))
    assert bridge.post(recalled("backlog", unread=1)).json == OK
    bridge.kill()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    bridge.env |= {"BRIDGE_KAFKA_BOOTSTRAP_SERVERS": own_broker.bootstrap, "BRIDGE_ADOPT_INTERVAL_S": "0.3"}
    bridge.topics.create(own_broker.bootstrap)
    bridge.start_ready()
    assert bridge.post(recalled("new", unread=1)).json == OK
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    found = wait_for_events(own_broker.bootstrap, bridge.topics.events, lambda messages: len(messages) == 2)
    assert {message.key for message in found} == {b"backlog", b"new"}


@pytest.mark.parametrize("fault", [FULL, FAILING_SYNC])
def test_with_kafka_frozen_and_the_disk_hurt_it_refuses_in_time_and_is_unready_until_one_is_back(
    fault: Fault, small_disk: Path, ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_JOURNAL_DIR=str(small_disk / "journal"))
    ready_url = bridge.admin_url + "/readyz"
    with Load(bridge.port, connections=16, rate=500) as load:
        load.wait_acknowledged(200)
        with fault(bridge, small_disk):
            bridge.wait_for(lambda: bridge.metric("bridge_disk_ok") == 0, what="the disk's failure to be seen")
            own_broker.freeze()
            bridge.wait_for(lambda: request("GET", ready_url).status == 503, what="it to be unready")
            refused = len(load.refused)
            bridge.wait_for(lambda: len(load.refused) > refused + 200, what="refusals")
        bridge.wait_for(lambda: request("GET", ready_url).status == 200, what="it to be ready by the disk")
        load.wait_acknowledged(200)
        own_broker.thaw()
        load.wait_acknowledged(200)
    assert not load.slow()
    assert {one.status for one in load.refused} == {503}
    judge(load, own_broker, bridge)


def judge(load: Load, broker: Broker, bridge: IngressProcess) -> None:
    bridge.wait_for(
        lambda: bridge.metric("bridge_journal_bytes") + bridge.metric("bridge_memory_bytes") == 0, what="the end"
    )
    result = verdict(load.acknowledged, [m.event for m in read_all(broker.bootstrap, bridge.topics.events)])
    assert result.ok, f"{len(result.lost)} lost, {len(result.out_of_order)} out of order"


def test_the_disk_budget_bounds_the_journal_and_is_answered_503(ingress: MakeIngress, own_broker: Broker) -> None:
    own_broker.freeze()
    bridge = ingress(
        own_broker.bootstrap, BRIDGE_JOURNAL_MAX_BYTES=str(1024 * 1024), BRIDGE_MEMORY_MAX_BYTES=str(1024 * 1024)
    )
    with Load(bridge.port, connections=16) as load:
        bridge.wait_for(lambda: len(load.refused) > 100, what="refusals")
        assert request("GET", bridge.admin_url + "/readyz").status == 503
        with bridge.frozen():  # Files of the journal come and go while they are looked at.
            size = sum(path.stat().st_size for path in bridge.journal_dir.iterdir())
        assert size < 24 * 1024 * 1024  # The budget, and a write-ahead log before its checkpoint.
        own_broker.thaw()
        load.wait_acknowledged(500)
    assert not load.slow()


def test_too_much_in_flight_is_answered_503_at_once_and_memory_stays_flat(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_MAX_IN_FLIGHT="8")
    with Load(bridge.port, connections=64) as load:
        load.wait_acknowledged(300)
        bridge.wait_for(lambda: len(load.refused) > 500, what="refusals")
        before = bridge.rss_bytes
        load.wait_acknowledged(500)
        assert bridge.rss_bytes - before < 20 * 1024 * 1024
    assert {one.status for one in load.refused} == {503}
    assert bridge.metric("bridge_refused_total", reason="in_flight") == len(load.refused)
    assert not load.slow()
    judge(load, own_broker, bridge)


# -- Adoption ----------------------------------------------------------------------------------------------------------


def test_a_journal_whose_owner_is_gone_is_adopted(ingress: MakeIngress, own_broker: Broker, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    own_broker.freeze()
    gone = ingress(own_broker.bootstrap, BRIDGE_JOURNAL_DIR=shared)
    alive = ingress(own_broker.bootstrap, BRIDGE_JOURNAL_DIR=shared, BRIDGE_ADOPT_INTERVAL_S="0.3")
    for number in range(20):
        assert gone.post(recalled(f"u{number}", unread=1)).json == OK
    gone.kill()
    own_broker.thaw()
    found = wait_for_events(own_broker.bootstrap, alive.topics.events, lambda messages: len(messages) >= 20)
    assert {message.event["subject"] for message in found} == {f"u{number}" for number in range(20)}
    alive.wait_for(lambda: len(list(Path(shared).glob("*.journal"))) == 1, what="the adopted journal to be removed")


# -- The broker and its topics -----------------------------------------------------------------------------------------


def large(account: str) -> PostedCallback:
    return recalled(account, unread=1, Blob="x" * 20_000)


def unread_of(events: list[TopicMessage], key: bytes) -> list[int]:
    """The counts of an account in the order in which each came for the first time."""
    return list(dict.fromkeys(one.event["data"]["unread_total"] for one in events if one.key == key))


def test_a_record_that_the_broker_refuses_goes_to_quarantine_and_stops_nothing_behind_it(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    assert bridge.post(recalled("first", unread=1)).json == OK
    wait_for_events(own_broker.bootstrap, bridge.topics.events, len)
    own_broker.freeze()
    for callback in (recalled("same", unread=1), large("same"), recalled("same", unread=2), large("other")):
        assert bridge.post(callback).json == OK
    bridge.kill()
    own_broker.thaw()
    configure(own_broker.bootstrap, bridge.topics.events, "max.message.bytes", "10000")
    bridge.start_ready()
    assert bridge.post(recalled("last", unread=1)).json == OK

    announced = wait_for_events(own_broker.bootstrap, bridge.topics.dlq, lambda found: len(found) == 2)
    assert {message.key for message in announced} == {b"same", b"other"}
    assert {dict(message.headers)["reason"] for message in announced} == {b"refused_by_broker"}
    assert len(list((bridge.journal_dir / "refused").iterdir())) == 2
    assert bridge.metric("bridge_set_aside_total") == 2
    # A batch in flight to a frozen broker may arrive twice: first occurrences count.
    events = wait_for_events(
        own_broker.bootstrap,
        bridge.topics.events,
        lambda found: {m.key for m in found} >= {b"first", b"last"} and len(unread_of(found, b"same")) == 2,
    )
    assert unread_of(events, b"same") == [1, 2]


def test_records_that_are_older_than_the_topic_allows_are_published_without_their_times(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    assert bridge.post(recalled("first", unread=1)).json == OK
    wait_for_events(own_broker.bootstrap, bridge.topics.events, len)
    own_broker.stop()
    for number in range(3):
        assert bridge.post(recalled("old", unread=number)).json == OK
    bridge.kill()
    too_old = time.time() + 1
    own_broker.start()
    wait_until(lambda: time.time() > too_old, timeout=5, what="the records to be older than the topic allows")
    configure(own_broker.bootstrap, bridge.topics.events, "message.timestamp.before.max.ms", "1000")
    bridge.start_ready()
    assert bridge.post(recalled("old", unread=9)).json == OK
    found = wait_for_events(own_broker.bootstrap, bridge.topics.events, lambda messages: len(messages) >= 5)
    assert [m.event["data"]["unread_total"] for m in found if m.key == b"old"] == [0, 1, 2, 9]
    assert not list((bridge.journal_dir / "refused").glob("*"))


def test_a_limit_that_is_lowered_while_it_runs_is_noticed(ingress: MakeIngress, own_broker: Broker) -> None:
    bridge = ingress(own_broker)
    assert bridge.post(recalled("first", unread=1)).json == OK
    wait_for_events(own_broker.bootstrap, bridge.topics.events, len)  # It knows the limit by then.
    configure(own_broker.bootstrap, bridge.topics.events, "max.message.bytes", "10000")
    for callback in (large("a"), recalled("a", unread=1), recalled("b", unread=1)):
        assert bridge.post(callback).json == OK
    events = wait_for_events(own_broker.bootstrap, bridge.topics.events, lambda found: len(found) >= 3)
    assert {message.key for message in events} == {b"first", b"a", b"b"}
    assert wait_for_events(own_broker.bootstrap, bridge.topics.dlq, len)[0].key == b"a"


def test_a_missing_dead_letter_topic_stops_no_event_and_the_log_says_what_to_run(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    topics = Topics.unique()
    create_topic(own_broker.bootstrap, topics.events)
    # One broker cannot create a topic with three replicas.
    bridge = ingress(own_broker.bootstrap, BRIDGE_TOPIC=topics.events, BRIDGE_TOPIC_REPLICATION="3")
    assert bridge.post(PostedCallback(recalled("u").command, b"{")).status == 200
    for number in range(5):
        assert bridge.post(recalled(f"u{number}", unread=1)).json == OK
    wait_for_events(own_broker.bootstrap, topics.events, lambda found: len(found) == 5)
    bridge.wait_for_log("kafka-topics.sh .*--create --topic " + bridge.topics.dlq)
    bridge.wait_for(lambda: bridge.metric("bridge_journal_bytes") > 0, what="the dead letter to be held")
    assert request("GET", bridge.admin_url + "/readyz").status == 200
    create_topic(own_broker.bootstrap, bridge.topics.dlq)
    wait_for_events(own_broker.bootstrap, bridge.topics.dlq, len)


def test_the_producer_heals_after_the_topic_was_recreated(ingress: MakeIngress, own_broker: Broker) -> None:
    bridge = ingress(own_broker)
    with Load(bridge.port, connections=8, rate=200) as load:
        load.wait_acknowledged(100)
        admin = AdminClient({"bootstrap.servers": own_broker.bootstrap})
        for future in admin.delete_topics([bridge.topics.events]).values():
            future.result(10)
        load.wait_acknowledged(100)
        bridge.wait_for(lambda: topic_gone(admin, bridge.topics.events), what="the topic to be deleted")
        bridge.topics.create(own_broker.bootstrap, partitions=2)
        again = len(load.acknowledged)
        load.wait_acknowledged(300)
    bridge.wait_for(lambda: bridge.metric("bridge_journal_bytes") == 0, what="the journal to drain", timeout=60)
    seen = {m.event["data"]["msg_key"] for m in read_all(own_broker.bootstrap, bridge.topics.events)}
    assert {one.msg_key for one in load.acknowledged[again:]} <= seen


def topic_gone(admin: AdminClient, topic: str) -> bool:
    return topic not in admin.list_topics(timeout=5).topics


def test_the_producer_heals_after_the_broker_moved_to_another_port(ingress: MakeIngress, own_broker: Broker) -> None:
    port = free_port()
    servers = f"{own_broker.bootstrap},127.0.0.1:{port}"
    bridge = ingress(servers, BRIDGE_TOPIC_PARTITIONS="2", BRIDGE_KAFKA_STALL_S="2")
    assert bridge.post(recalled("before", unread=1)).json == OK
    bridge.wait_for(lambda: bridge.metric("bridge_published_total") == 1, what="the first event")
    own_broker.stop()
    own_broker.move()
    own_broker.port = port
    own_broker.start()
    assert bridge.post(recalled("after", unread=1)).json == OK
    found = wait_for_events(own_broker.bootstrap, bridge.topics.events, lambda m: len(m) >= 2, timeout=60)
    assert {message.key for message in found} == {b"before", b"after"}
