"""Records that Kafka refuses for good: whatever becomes of the place for them, they hold up nobody and are not lost."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback, recalled
from tests.support.commands import IngressProcess
from tests.support.http import request
from tests.support.topic import Topics, configure, wait_for_events


def large(account: str) -> PostedCallback:
    return recalled(account, unread=1, Blob="x" * 20_000)


def lower_limit(bridge: IngressProcess, bootstrap: str) -> None:
    """Let the topic take less than the ingress believes, which has asked when it connected."""
    assert bridge.post(recalled("first", unread=1)).status == 200
    wait_for_events(bootstrap, bridge.topics.events, len)
    configure(bootstrap, bridge.topics.events, "max.message.bytes", "10000")


def test_one_more_than_the_quarantine_may_hold_is_kept_all_the_same_and_readiness_tells(
    ingress: MakeIngress, broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    refused = tmp_path / "journals" / "refused"
    refused.mkdir(parents=True)
    (refused / "0.record").write_bytes(bytes(2 * 1024 * 1024))
    bridge = ingress(broker, BRIDGE_JOURNAL_DIR=str(refused.parent), BRIDGE_QUARANTINE_MAX_BYTES=str(1024 * 1024))
    lower_limit(bridge, broker.bootstrap)
    for callback in (large("same"), recalled("same", unread=2)):
        assert bridge.post(callback).status == 200
    found = wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) >= 2)
    assert [message.event["data"]["unread_total"] for message in found if message.key == b"same"] == [2]
    assert wait_for_events(broker.bootstrap, topics.dlq, len)[0].key == b"same"
    assert len(list(refused.iterdir())) == 2
    bridge.wait_for_log("quarantine .*refused is full: .*BRIDGE_QUARANTINE_MAX_BYTES=1048576")
    ready = request("GET", bridge.admin_url + "/readyz")
    assert ready.status == 200
    state = ready.json["quarantine"]
    assert (state["files"], state["limit_bytes"], state["full"]) == (2, 1024 * 1024, True)
    assert state["bytes"] == sum(path.stat().st_size for path in refused.iterdir())
    bridge.wait_for(lambda: bridge.metric("bridge_quarantine_files") == 2, what="the metric")


def test_a_record_that_the_disk_does_not_take_is_passed_over_and_kept_when_it_does(
    ingress: MakeIngress, broker: Broker, topics: Topics
) -> None:
    bridge = ingress(broker)
    lower_limit(bridge, broker.bootstrap)
    in_the_way = bridge.journal_dir / "refused"
    in_the_way.touch()
    for callback in (large("same"), recalled("same", unread=2)):
        assert bridge.post(callback).status == 200
    bridge.wait_for_log("cannot be put into quarantine .*File exists")
    found = wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) >= 2)
    assert [message.event["data"]["unread_total"] for message in found if message.key == b"same"] == [2]
    in_the_way.unlink()
    assert wait_for_events(broker.bootstrap, topics.dlq, len)[0].key == b"same"
    assert len(list(in_the_way.iterdir())) == 1
    bridge.wait_for(lambda: bridge.metric("bridge_journal_bytes") == 0, what="the journal to be drained")
