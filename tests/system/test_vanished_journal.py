"""Promise 1 when somebody removes, moves or replaces the journal of a process that runs, from outside the program."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess
from tests.support.disk import can_mount, mount, unmount
from tests.support.http import request
from tests.support.journal_faults import (
    Hurt,
    give_second_name,
    remove_file,
    replace_file,
    replace_folder,
    truncate_log,
)
from tests.support.load import Load
from tests.support.topic import TopicMessage, read_all, wait_for_events
from tests.support.verdict import verdict

NOWHERE = "127.0.0.1:1"
"""A Kafka that is away: only the journal acknowledges."""


def post(bridge: IngressProcess, name: str, count: int) -> set[str]:
    """Post callbacks. Gives the accounts of those that were acknowledged."""
    accounts = [f"{name}{number}" for number in range(count)]
    return {account for account in accounts if bridge.post(recalled(account, unread=1)).status == 200}


def all_come_after_kill(bridge: IngressProcess, broker: Broker, acknowledged: set[str]) -> bool:
    """Kill it, start it again with Kafka there, and wait until all of these accounts are on the topic."""
    bridge.kill()
    bridge.topics.create(broker.bootstrap)
    bridge.env["BRIDGE_KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap
    bridge.start_ready()

    def all_are_there(messages: list[TopicMessage]) -> bool:
        return acknowledged <= {message.event["subject"] for message in messages}

    return bool(wait_for_events(broker.bootstrap, bridge.topics.events, all_are_there))


@pytest.mark.parametrize("hurt", [remove_file, replace_file, replace_folder, give_second_name])
def test_what_was_acknowledged_before_and_after_the_journal_was_taken_away_survives_kill_9(
    hurt: Hurt, ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(NOWHERE)
    acknowledged = post(bridge, "before", 20)
    with bridge.frozen():
        hurt(bridge.journal_dir)
    acknowledged |= post(bridge, "after", 40)
    assert len(acknowledged) == 60, bridge.output()
    bridge.wait_for_log(rf"journal .* in {bridge.journal_dir} failed \(.* was (removed|replaced|given)")
    bridge.wait_for_log("what the journal .* held was copied to")
    assert request("GET", bridge.admin_url + "/readyz").json["disk"] == "ok"
    assert all_come_after_kill(bridge, broker, acknowledged)


def test_what_is_acknowledged_after_the_journal_was_truncated_survives_kill_9(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(NOWHERE)
    assert len(post(bridge, "before", 20)) == 20
    truncate_log(bridge.journal_dir)
    acknowledged = post(bridge, "after", 40)
    assert len(acknowledged) == 40
    assert all_come_after_kill(bridge, broker, acknowledged)


def test_a_journal_that_is_mounted_over_is_made_anew_where_the_next_process_looks(
    ingress: MakeIngress, broker: Broker, tmp_path: Path
) -> None:
    if not can_mount():
        pytest.skip("a file system cannot be mounted here")
    bridge = ingress(NOWHERE)
    acknowledged = post(bridge, "before", 20)
    mount(bridge.journal_dir, size_bytes=16 * 1024 * 1024)
    try:
        acknowledged |= post(bridge, "after", 40)
        bridge.wait_for_log("what the journal .* held was copied to")
        assert all_come_after_kill(bridge, broker, acknowledged)
        bridge.terminate()
    finally:
        unmount(bridge.journal_dir)


def test_while_no_journal_can_be_made_nothing_is_acknowledged_and_readiness_names_the_folder(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(NOWHERE)
    acknowledged = post(bridge, "before", 5)
    with bridge.frozen():
        shutil.rmtree(bridge.journal_dir)
        bridge.journal_dir.touch()  # Now no folder can be made there.
    assert post(bridge, "refused", 5) == set()
    ready = request("GET", bridge.admin_url + "/readyz")
    assert ready.status == 503
    assert ready.json["disk"] == "failing"
    assert str(bridge.journal_dir) in ready.json["disk_problem"]
    bridge.journal_dir.unlink()
    bridge.wait_for(lambda: request("GET", bridge.admin_url + "/readyz").status == 200, what="it to be ready again")
    acknowledged |= post(bridge, "after", 5)
    assert len(acknowledged) == 10
    bridge.wait_for_log("what the journal .* held was copied to")
    assert all_come_after_kill(bridge, broker, acknowledged)


def test_a_graceful_stop_copies_what_was_taken_away_a_moment_before(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(NOWHERE)
    acknowledged = post(bridge, "before", 20)
    with bridge.frozen():
        shutil.rmtree(bridge.journal_dir)
    assert bridge.terminate() == 0
    assert all_come_after_kill(bridge, broker, acknowledged)


def test_the_working_directory_of_a_relative_folder_may_be_moved_away_too(
    ingress: MakeIngress, broker: Broker, tmp_path: Path
) -> None:
    bridge = ingress(NOWHERE, BRIDGE_JOURNAL_DIR="journal")
    acknowledged = post(bridge, "before", 20)
    working_directory = bridge.journal_dir.parent
    assert bridge.log.parent == working_directory
    working_directory.rename(tmp_path / "moved")
    working_directory.mkdir()
    acknowledged |= post(bridge, "after", 40)
    assert len(acknowledged) == 60
    (tmp_path / "moved" / bridge.log.name).rename(bridge.log)
    bridge.wait_for_log("what the journal .* held was copied to")
    assert all_come_after_kill(bridge, broker, acknowledged)


@pytest.mark.slow
def test_removing_the_folder_again_and_again_under_load_with_kafka_frozen_loses_nothing_and_keeps_the_order(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    with Load(bridge.port, connections=16, rate=500) as load:
        load.wait_acknowledged(200)
        own_broker.freeze()
        load.wait_acknowledged(300)
        for number in range(1, 4):
            with bridge.frozen():
                shutil.rmtree(bridge.journal_dir)
            load.wait_acknowledged(300)
            bridge.wait_for(partial(copies_are_made, bridge, number), what="what was acknowledged to be copied")
        bridge.kill()
        own_broker.thaw()
        bridge.start_ready()
        load.wait_acknowledged(200)
    bridge.wait_for(
        lambda: bridge.metric("bridge_journal_bytes") + bridge.metric("bridge_memory_bytes") == 0, what="the end"
    )
    result = verdict(load.acknowledged, [m.event for m in read_all(own_broker.bootstrap, bridge.topics.events)])
    assert result.ok, f"{len(result.lost)} lost, {len(result.out_of_order)} out of order"


def copies_are_made(bridge: IngressProcess, removals: int) -> bool:
    """Whether all that was open at the last removal was copied: a file for each removal so far."""
    copied = bridge.output().count("held was copied to")
    return copied >= removals * (removals + 1) // 2
