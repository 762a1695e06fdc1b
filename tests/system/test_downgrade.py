"""An older process and a newer one on one folder: neither loses what the other has acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess, run_bridge
from tests.support.newer_version import as_newer_version
from tests.support.ports import free_port
from tests.support.topic import Topics, create_topic, wait_for_events

NEWER = [sys.executable, "-c", as_newer_version("from bridge.cli import main\nmain()"), "serve"]


def test_after_a_downgrade_nothing_is_lost_and_the_newer_version_publishes_the_rest(
    ingress: MakeIngress, broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    newer = IngressProcess(tmp_path, nowhere, topics, BRIDGE_ADOPT_INTERVAL_S="0.1")
    newer.command = NEWER
    with newer:
        newer.wait_ready()
        for number in range(3):
            assert newer.post(recalled(f"newer-{number}", unread=1)).status == 200
        (left,) = newer.journal_dir.glob("*.journal")
        older = ingress(broker, BRIDGE_JOURNAL_DIR=str(newer.journal_dir), BRIDGE_ADOPT_INTERVAL_S="0.1")
        assert older.post(recalled("older-0", unread=1)).status == 200
        newer.kill()

        create_topic(broker.bootstrap, topics.events)
        older.wait_for_log(r"has format \d+, of a newer version of im-bridge", timeout=20)
        assert older.post(recalled("older-1", unread=1)).status == 200
        found = wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) >= 2)
        assert {message.event["subject"] for message in found} == {"older-0", "older-1"}
        assert older.terminate(timeout=20) == 0
        drained = run_bridge(
            "journal", "drain", newer.journal_dir, "--json", BRIDGE_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap
        )
        assert drained.returncode == 1, "something is left"
        (told,) = orjson.loads(drained.stdout)["left"]
        assert told["name"] == left.name
        assert "newer version" in told["reason"]

        newer.env["BRIDGE_KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap
        newer.start_ready()
        found = wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) >= 5)
        assert {message.event["subject"] for message in found} == {
            *("older-0", "older-1"),
            *(f"newer-{number}" for number in range(3)),
        }
