"""An older process and a newer one on one folder: neither loses what the other has acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest

from tests.conftest import MakeIngress
from tests.support.audited_ingress import AuditedIngress, are_settled
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess, run_bridge
from tests.support.newer_version import as_newer_version
from tests.support.older_version import BEFORE_THE_AUDIT, older_code, run_from
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.topic import Topics, create_topic, wait_for_events
from tests.support.workers import StartWorker

EACH = 30
"""Callbacks that each process takes."""
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


@pytest.mark.slow
def test_with_the_code_of_before_the_audit_back_and_forth_a_backlog_is_published_and_proven(
    own_broker: Broker, topics: Topics, ingress: MakeIngress, start_worker: StartWorker, tmp_path: Path
) -> None:
    older = older_code(BEFORE_THE_AUDIT, tmp_path / "older")
    if older is None:
        pytest.skip(f"the commit {BEFORE_THE_AUDIT} is not in the history that is here")
    topics.create(own_broker.bootstrap)
    audited = AuditedIngress(own_broker, topics, ingress, start_worker)
    settings = {"BRIDGE_AUDIT_TOPIC": audited.audit_topic, "BRIDGE_AUDIT_INTERVAL_S": "0.5"}
    settings |= {"BRIDGE_ADOPT_INTERVAL_S": "0.4", "BRIDGE_STOP_TIMEOUT_S": "6"}

    def started(code: Path) -> IngressProcess:
        bridge = run_from(code, IngressProcess(tmp_path, own_broker.bootstrap, topics, **settings))
        bridge.start()
        bridge.wait_ready(60)
        return bridge

    def post(bridge: IngressProcess, life: int) -> None:
        for number in range(EACH):
            assert bridge.post(recalled(f"{life}-{number}", unread=1)).status == 200

    own_broker.freeze()
    lives = ((older, True), (ROOT, True), (older, False), (ROOT, True), (older, True), (ROOT, False))
    for life, (code, is_killed) in enumerate(lives):
        with started(code) as bridge:
            post(bridge, life)
            if not is_killed:
                bridge.terminate(60)
    with started(older) as bridge:
        post(bridge, len(lives))
        own_broker.thaw()
        expected = {f"{life}-{number}" for life in range(len(lives) + 1) for number in range(EACH)}
        found = wait_for_events(
            own_broker.bootstrap, topics.events, lambda seen: {one.event["subject"] for one in seen} >= expected
        )
        audited.start_audit()
        told = audited.wait(lambda told: told.counts.arrived >= 3 * EACH)
        assert told.counts.missing == 0
        assert bridge.terminate(20) == 0
    states = ["killed", "killed", "living", "stopped"]
    with started(ROOT):
        told = audited.wait(lambda told: len(told.lives) == len(states) and are_settled(told))
    assert (told.counts.acknowledged, told.counts.missing, told.counts.unproven) == (3 * EACH, 0, 0)
    assert told.unnumbered == len(found) - 3 * EACH
    assert sorted(one.state for one in told.lives) == states
    assert not list((tmp_path / "journal").glob("*.damaged"))
