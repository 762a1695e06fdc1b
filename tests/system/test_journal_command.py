"""`bridge journal`: what is held can be seen, and published by hand."""

from __future__ import annotations

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess, run_bridge
from tests.support.process import free_port
from tests.support.topic import wait_for_events


def journal(bridge: IngressProcess, *command: str, kafka: str = "127.0.0.1:1", code: int = 0) -> str:
    """What it prints; its errors, where it ends with another `code` than 0.

    Without BRIDGE_APPS: where a journal is rescued, nobody has the tokens.
    """
    settings = {**bridge.env, "COLUMNS": "200", "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": kafka}
    del settings["BRIDGE_APPS"]
    ended = run_bridge("journal", *command, cwd=bridge.log.parent, **settings)
    assert ended.returncode == code, ended.stderr
    return ended.stderr if code else ended.stdout


def test_what_is_held_is_listed_shown_and_published_by_hand(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}")
    for number in range(3):
        assert bridge.post(recalled(f"u{number}", unread=1)).status == 200
    listed = journal(bridge, "list")
    assert f":{bridge.pid} alive" in listed
    assert bridge.topics.events in listed
    shown = journal(bridge, "show", "--limit", "2")
    assert [line.split("\t")[:2] for line in shown.splitlines()] == [[bridge.topics.events, f"u{n}"] for n in (0, 1)]
    bridge.kill()
    listed = journal(bridge, "list")
    assert f":{bridge.pid} gone" in listed
    assert "alive" not in listed

    bridge.topics.create(broker.bootstrap)
    journal(bridge, "drain", str(bridge.journal_dir), kafka=broker.bootstrap)
    found = wait_for_events(broker.bootstrap, bridge.topics.events, lambda messages: len(messages) == 3)
    assert {message.event["subject"] for message in found} == {"u0", "u1", "u2"}
    assert list(bridge.journal_dir.glob("*.journal")) == []

    (bridge.journal_dir / "00-host-1-ab.journal").write_bytes(b"no journal" * 99)
    (unreadable,) = [line for line in journal(bridge, "list").splitlines() if "00-host-1-ab.journal" in line]
    assert unreadable.split("\t") == ["00-host-1-ab.journal", "host:1 gone", "990", "", "unreadable", ""]
    told = journal(bridge, "drain", str(bridge.journal_dir), kafka=broker.bootstrap, code=1)
    assert "not everything was published" in told
    assert "00-host-1-ab.damaged" in told
