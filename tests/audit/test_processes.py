"""Real processes under load: numbers without gaps, and an end of each life that says exactly what may be missing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.audit.ledger_of_topics import ReadLives, ledger_of, number_of, statements
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback, recalled
from tests.support.commands import IngressProcess, run_bridge
from tests.support.load import Load
from tests.support.ports import free_port
from tests.support.reloading import reload
from tests.support.topic import configure, read_all, wait_for_events

OFTEN: dict[str, Any] = {"BRIDGE_AUDIT_INTERVAL_S": "0.2", "BRIDGE_ADOPT_INTERVAL_S": "1"}
UNREADABLE = PostedCallback("C2C.CallbackAfterMsgWithDraw", b"{")


def wait_drained(bridge: IngressProcess) -> None:
    """Also what a process that was replaced has left, which no other counts before it has adopted it."""
    bridge.wait_for(
        lambda: (
            bridge.metric("bridge_journal_bytes") == 0
            and bridge.metric("bridge_memory_bytes") == 0
            and len(list(bridge.journal_dir.glob("*.journal"))) <= len(bridge.children())
        ),
        timeout=60,
        what="the journals to drain",
    )


def stopped(bridge: IngressProcess, bootstrap: str) -> ReadLives:
    """What there is when all has ended well."""
    wait_drained(bridge)
    assert bridge.terminate() == 0
    return ledger_of(bootstrap, bridge)


def check_acknowledged(load: Load, bootstrap: str, bridge: IngressProcess, ledger: ReadLives) -> None:
    """Nobody was told 200 for what is said never to have become durable."""
    acknowledged = {(one.account, one.msg_key) for one in load.acknowledged}
    arrived = set()
    for message in read_all(bootstrap, bridge.topics.events):
        event = message.event
        if (callback := (event["subject"], event["data"].get("msg_key"))) in acknowledged:
            arrived.add(callback)
            number = number_of(message)
            assert number is not None
            assert number.number not in ledger.topics[number.life, bridge.topics.events].never_durable, number
    assert arrived == acknowledged


@pytest.mark.slow
def test_through_kills_outages_and_a_reload_no_number_is_missing_but_what_is_said_to_be(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, **OFTEN)
    with Load(bridge.port, connections=32) as load:
        for _ in range(3):
            load.wait_acknowledged(300)
            bridge.kill()
            bridge.start_ready()
        own_broker.kill()
        load.wait_acknowledged(1500)
        bridge.kill()
        bridge.start_ready()
        load.wait_acknowledged(300)
        os.kill(bridge.server_pid, signal.SIGKILL)
        load.wait_acknowledged(300)
        own_broker.start()
        load.wait_acknowledged(300)
        reload(bridge, 1)
        load.wait_acknowledged(300)
    assert bridge.post(UNREADABLE).status == 200
    ledger = stopped(bridge, own_broker.bootstrap)
    assert ledger.missing == {}
    check_acknowledged(load, own_broker.bootstrap, bridge, ledger)
    assert sorted(ledger.ends.values()) == [*["killed"] * 5, *["stopped"] * 2]
    assert all(one.is_exact for one in ledger.topics.values())
    assert all(max(one.seen, default=0) <= one.given for one in ledger.topics.values())
    assert sum(one.given for (_, topic), one in ledger.topics.items() if topic == bridge.topics.dlq) == 1
    for statement in ledger.last.values():
        if statement.previous is not None:
            before = ledger.last[statement.life._replace(epoch=statement.previous.epoch)]
            assert statement.previous.given == {topic: one.given for topic, one in before.topics.items()}


def test_all_that_kafka_has_is_stated_to_be_confirmed_also_where_it_came_from_disk(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_READ_AHEAD_BYTES=str(1024 * 1024), **OFTEN)
    with Load(bridge.port, connections=32) as load:
        load.wait_acknowledged(100)
        own_broker.kill()
        load.wait_acknowledged(4000)  # More than is held in memory.
        own_broker.start()
    wait_drained(bridge)

    def last_is_confirmed() -> bool:
        stated = statements(own_broker.bootstrap, bridge.topics.audit)[-1].topics[bridge.topics.events]
        return stated.confirmed_through == stated.given >= len(load.acknowledged)

    bridge.wait_for(last_is_confirmed, timeout=30, what="a statement that all is confirmed")
    seen: dict[int, int] = {}
    for number, message in enumerate(read_all(own_broker.bootstrap, bridge.topics.events)):
        found = number_of(message)
        assert found is not None
        seen.setdefault(found.number, number)
    assert set(seen) == set(range(1, max(seen) + 1))


def test_a_process_whose_parent_is_killed_says_itself_that_it_has_stopped(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, **OFTEN)
    assert bridge.post(recalled("ann", unread=1)).status == 200
    wait_for_events(broker.bootstrap, bridge.topics.audit, lambda found: len(found) >= 2)
    bridge.kill_parent(timeout=30)
    ledger = ledger_of(broker.bootstrap, bridge)
    assert list(ledger.ends.values()) == ["stopped"]
    assert ledger.missing == {}


def test_what_a_killed_process_left_is_stated_by_whoever_drains_its_folder(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, **OFTEN)
    with Load(bridge.port, connections=16) as load:
        load.wait_acknowledged(100)
        own_broker.freeze()
        load.wait_acknowledged(200)
        bridge.kill()
    own_broker.thaw()
    settings = {name: value for name, value in bridge.env.items() if name != "BRIDGE_APPS"}
    drained = run_bridge("journal", "drain", cwd=bridge.log.parent, **settings)
    assert drained.returncode == 0, drained.stderr
    ledger = ledger_of(own_broker.bootstrap, bridge)
    assert ledger.missing == {}
    check_acknowledged(load, own_broker.bootstrap, bridge, ledger)
    assert sorted(ledger.ends.values()) == ["killed", "stopped"]
    (drain,) = (statement for statement in ledger.last.values() if statement.ended == "stopped")
    assert drain.looks >= 2
    assert drain.taken_over == 0
    assert all(one.given == 0 for one in drain.topics.values())


def test_a_record_that_kafka_refuses_for_good_is_stated_to_be_set_aside(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, **OFTEN)
    assert bridge.post(recalled("first", unread=1)).status == 200
    wait_for_events(broker.bootstrap, bridge.topics.events, len)
    configure(broker.bootstrap, bridge.topics.events, "max.message.bytes", "10000")
    assert bridge.post(recalled("large", unread=1, Blob="x" * 20_000)).status == 200
    wait_for_events(broker.bootstrap, bridge.topics.dlq, len)
    ledger = stopped(bridge, broker.bootstrap)
    ((life, stated),) = ledger.last.items()
    assert stated.set_aside == {life.name: {bridge.topics.events: [(2, 2)]}}
    assert stated.topics[bridge.topics.events].confirmed_through == 2
    assert ledger.topics[life, bridge.topics.events].seen == [1]
    assert ledger.topics[life, bridge.topics.dlq].seen == [1]


def test_what_was_set_aside_is_stated_also_where_its_process_was_killed(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_AUDIT_INTERVAL_S="3600")
    assert bridge.post(recalled("first", unread=1)).status == 200
    wait_for_events(broker.bootstrap, bridge.topics.events, len)
    configure(broker.bootstrap, bridge.topics.events, "max.message.bytes", "10000")
    assert bridge.post(recalled("large", unread=1, Blob="x" * 20_000)).status == 200
    wait_for_events(broker.bootstrap, bridge.topics.dlq, len)
    bridge.kill()
    bridge.start_ready()
    ledger = stopped(bridge, broker.bootstrap)
    assert ledger.missing == {}
    assert sorted(ledger.ends.values()) == ["killed", "stopped"]


def test_a_process_that_cannot_listen_states_that_it_has_stopped(
    ingress: MakeIngress, broker: Broker, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(TAKEN_BEFORE_IT_LISTENS)
    port = str(free_port())
    bridge = ingress(broker, ready=False, PYTHONPATH=str(tmp_path), TEST_TAKEN=port, BRIDGE_PORT=port, **OFTEN)
    bridge.wait_for_log(f"this process cannot serve: cannot listen on 127.0.0.1 port {port}: it is taken")
    assert bridge.wait() == 1
    bridge.env |= {"PYTHONPATH": "", "BRIDGE_PORT": str(bridge.port)}
    bridge.start_ready()
    ledger = stopped(bridge, broker.bootstrap)
    assert sorted(ledger.ends.values()) == ["stopped", "stopped"]


TAKEN_BEFORE_IT_LISTENS = """
import _socket, os, socket

others = []

def listen(bound, *backlog):
    if str(bound.getsockname()[1]) == os.environ["TEST_TAKEN"]:
        others.append(socket.socket())
        others[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        others[-1].bind(bound.getsockname())
        _socket.socket.listen(others[-1])
    _socket.socket.listen(bound, *backlog)

socket.socket.listen = listen
"""


def test_without_an_audit_nothing_is_numbered_and_nothing_kept(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_AUDIT="off")
    assert bridge.post(recalled("ann", unread=1)).status == 200
    (message,) = wait_for_events(broker.bootstrap, bridge.topics.events, len)
    assert [name for name, _ in message.headers] == ["content-type"]
    assert not (bridge.journal_dir / "audit").exists()
    assert bridge.metric("bridge_audit_exact") == 0
    assert bridge.terminate() == 0


def test_a_topic_that_cannot_be_made_holds_nothing_back(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_TOPIC_REPLICATION="3", **OFTEN)  # Of one broker.
    with Load(bridge.port, connections=8) as load:
        load.wait_acknowledged(100)
    bridge.wait_for_log("nothing can be stated for the audit: .*kafka-topics.sh .*--config cleanup.policy=compact")
    assert bridge.output().count("nothing can be stated") == 1
    assert bridge.metric("bridge_audit_statements_total", outcome="failed") > 0
    wait_drained(bridge)
    assert load.refused == []
    assert bridge.terminate() == 0
    bridge.start_ready()
    assert bridge.terminate() == 0
    # As soon as it can be made, all that could not be stated is.
    bridge.env["BRIDGE_TOPIC_REPLICATION"] = "1"
    bridge.start_ready()
    bridge.wait_for(lambda: bridge.metric("bridge_audit_statements_total", outcome="confirmed") > 1, what="statements")
    ledger = stopped(bridge, broker.bootstrap)
    assert list(ledger.ends.values()) == ["stopped"] * 3
    assert ledger.missing == {}


def started_without_a_place_for_ledgers(ingress: MakeIngress, broker: Broker, journals: Path) -> IngressProcess:
    journals.mkdir()
    (journals / "audit").write_text("in the way")
    bridge = ingress(broker, BRIDGE_JOURNAL_DIR=str(journals), **OFTEN)
    bridge.wait_for_log("no ledger can be kept in .*/journals .*File exists")
    assert bridge.post(recalled("ann", unread=1)).status == 200
    return bridge


def test_without_a_place_for_ledgers_all_goes_on_and_the_end_is_said_at_a_stop(
    ingress: MakeIngress, broker: Broker, tmp_path: Path
) -> None:
    bridge = started_without_a_place_for_ledgers(ingress, broker, tmp_path / "journals")
    assert bridge.metric("bridge_audit_exact") == 0
    ledger = stopped(bridge, broker.bootstrap)
    assert list(ledger.ends.values()) == ["stopped"]
    assert ledger.missing == {}


def test_a_ledger_that_could_not_be_kept_at_the_start_is_kept_as_soon_as_it_can(
    ingress: MakeIngress, broker: Broker, tmp_path: Path
) -> None:
    journals = tmp_path / "journals"
    bridge = started_without_a_place_for_ledgers(ingress, broker, journals)
    (journals / "audit").unlink()
    bridge.wait_for_log("a ledger is kept in .*/journals by now")
    assert bridge.metric("bridge_audit_exact") == 1
    shown = run_bridge("status", str(journals), cwd=bridge.log.parent)
    (ledger_file,) = (journals / "audit").glob("*.ledger")
    assert f"is {ledger_file.stem}/" in shown.stdout
    assert bridge.post(recalled("ben", unread=1)).status == 200
    wait_for_events(broker.bootstrap, bridge.topics.events, lambda found: len(found) == 2)
    bridge.kill()
    bridge.start_ready()
    ledger = stopped(bridge, broker.bootstrap)
    assert sorted(ledger.ends.values()) == ["killed", "stopped"]
    assert ledger.missing == {}
    assert all(one.is_exact for one in ledger.topics.values())
