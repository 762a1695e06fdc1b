"""`bridge status` and the log of an outage: since when, why, how much waits, how long there is."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge.process.outage_mark import NAME
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess, run_bridge
from tests.support.ports import free_port
from tests.support.reloading import NOWHERE, PATIENT_S, is_back, reload
from tests.support.topic import wait_for_events
from tests.support.waiting import wait_until

NEVER_HUNG: dict[str, Any] = {"BRIDGE_HUNG_AFTER_S": "3600"}
"""Else its parent replaces a process that a test has stopped, where the command that is tried takes long."""


def status(bridge: IngressProcess) -> tuple[int, dict[str, Any]]:
    """Asked without BRIDGE_APPS. Exit status, and what it says."""
    ended = run_bridge("status", bridge.journal_dir, "--json")
    assert "Traceback" not in ended.stderr
    return ended.returncode, orjson.loads(ended.stdout)


def files(folder: Path) -> dict[str, int]:
    """All but the note of an outage, which the processes write when it has lasted for some seconds."""
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.stem != NAME}


def wait_for_processes(bridge: IngressProcess, count: int) -> None:
    """Until so many answer on their sockets."""
    wait_until(lambda: len(list(bridge.journal_dir.glob("*.status"))) == count, timeout=60, what="sockets for status")


def test_all_processes_tell_of_an_outage_without_a_port_and_the_file_system_of_those_that_cannot(
    ingress: MakeIngress,
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    bridge = ingress(nowhere, ready=False, BRIDGE_WORKERS="2", BRIDGE_ADMIN_PORT="0", **NEVER_HUNG)
    wait_for_processes(bridge, 2)
    bridge.wait_for_log(r"process \d is accepting", timeout=60)
    for number in range(5):
        assert bridge.post(recalled(f"u{number}", unread=1)).status == 200
    assert bridge.post(recalled("u", unread=1), token="forged").status == 403

    code, told = status(bridge)
    assert (code, told["well"], told["silent"], told["left_behind"]) == (1, False, [], [])
    assert [one["process"] for one in told["processes"]] == ["0", "1"]
    assert (told["total"]["events"], told["total"]["drained_at"]) == (5, None)
    assert told["total"]["oldest"] == min(
        one["waiting"]["oldest"] for one in told["processes"] if one["waiting"]["oldest"]
    )
    kafka = told["processes"][0]["kafka"]
    assert (kafka["state"], kafka["servers"]) == ("away", nowhere)
    assert f"nothing listens there ({nowhere})" in kafka["problem"]
    (refused,) = [one for process in told["processes"] for one in process["refusals"]]
    assert (refused["reason"], refused["app"], refused["address"]) == ("bad_signature", "1400000000", "127.0.0.1")
    assert "answered 403 to 127.0.0.1 of app 1400000000 (bad_signature" in bridge.output()

    stopped = told["processes"][0]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    before = files(bridge.journal_dir)
    _, told = status(bridge)
    assert [one["pid"] for one in told["silent"]] == [stopped]
    assert "has not answered" in told["silent"][0]["problem"]
    assert [one["owner_pid"] for one in told["left_behind"]] == [stopped]
    os.kill(stopped, signal.SIGCONT)
    bridge.kill()

    code, told = status(bridge)
    assert (code, told["processes"], told["silent"]) == (1, [], [])
    assert [one["owner_pid"] for one in told["left_behind"]] == [None, None]
    assert files(bridge.journal_dir).keys() == before.keys(), "to ask changes nothing"


def test_all_processes_are_asked_at_an_admin_port_too_and_who_does_not_answer_is_named(ingress: MakeIngress) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}", ready=False, BRIDGE_WORKERS="2", **NEVER_HUNG)
    bridge.wait_ready(60)
    wait_until(lambda: bridge.output().count("is accepting") == 2, timeout=60, what="both")
    assert bridge.post(recalled("u", unread=1)).status == 200
    nobody = f"http://127.0.0.1:{free_port()}"
    ended = run_bridge("status", "--json", "--url", bridge.admin_url, "--url", nobody)
    told = orjson.loads(ended.stdout)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert [one["process"] for one in told["processes"]] == ["0", "1"]
    assert (told["total"]["events"], told["addresses"], told["folder"]) == (1, [bridge.admin_url, nobody], "")
    (silent,) = told["silent"]
    assert (silent["host"], "nothing listens there" in silent["problem"]) == (nobody, True)
    shown = run_bridge("status", "--url", bridge.admin_url)
    assert "confirms nothing since" in shown.stdout
    assert "waiting  1 event" in shown.stdout

    stopped = told["processes"][0]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    shown = run_bridge("status", "--url", bridge.admin_url)
    os.kill(stopped, signal.SIGCONT)
    assert "1 process there did not answer" in shown.stdout + shown.stderr
    for wrong in (("--url", "nonsense"), (bridge.journal_dir, "--url", nobody)):
        ended = run_bridge("status", *wrong)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr


def test_since_when_kafka_is_frozen_is_told_and_when_all_is_well_again(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    wait_for_processes(bridge, 1)
    wait_until(lambda: status(bridge)[0] == 0, timeout=30, what="a status in which all is well")
    own_broker.freeze()
    assert bridge.post(recalled("u", unread=1)).status == 200
    wait_until(
        lambda: status(bridge)[1]["processes"][0]["kafka"]["state"] != "confirming", timeout=30, what="that it is told"
    )
    code, told = status(bridge)
    (process,) = told["processes"]
    assert (code, told["total"]["events"], process["ready"]) == (1, 1, True)
    assert process["kafka"]["problem"].startswith(("it is connected, ", "it does not answer"))
    shown = run_bridge("status", bridge.journal_dir).stdout
    assert f"since {process['kafka']['since'][:19].replace('T', ' ')} UTC" in shown
    assert "nothing that was acknowledged is lost" in shown
    line = bridge.wait_for_log(r"Kafka has confirmed nothing for .*", timeout=30)[0]
    assert "1 event (" in line
    assert "room for " in line

    own_broker.thaw()
    wait_for_events(own_broker.bootstrap, bridge.topics.events, len)
    wait_until(lambda: status(bridge)[0] == 0, timeout=60, what="a status in which all is well")
    bridge.wait_for_log("all that waited for it is there", timeout=30)
    assert bridge.terminate() == 0
    assert "stay on disk" not in bridge.output()
    assert list(bridge.journal_dir.glob("*.status")) == []


@pytest.mark.slow
def test_a_kafka_that_dies_while_no_callback_comes_is_told_with_why_and_one_that_is_back_too(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_WORKERS="2")
    wait_for_processes(bridge, 2)
    wait_until(lambda: status(bridge)[0] == 0, timeout=60, what="a status in which all is well")
    own_broker.kill()

    def is_told() -> bool:
        told = [one["kafka"] for one in status(bridge)[1]["processes"]]
        return len(told) == 2 and all(
            one["state"] != "confirming" and f"nothing listens there ({own_broker.bootstrap})" in one["problem"]
            for one in told
        )

    wait_until(is_told, timeout=PATIENT_S, what="both to tell it")
    wait_until(lambda: bridge.metric("bridge_kafka_ok") == 0, timeout=60, what="the metric of the alert")
    line = bridge.wait_for_log(r"Kafka has confirmed nothing for .*", timeout=60)[0]
    assert "nothing waits for it" in line
    own_broker.start()
    wait_until(lambda: status(bridge)[0] == 0, timeout=PATIENT_S, what="a status in which all is well")


@pytest.mark.slow
def test_whoever_comes_after_a_reload_or_a_kill_tells_since_when_kafka_is_away(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE)
    wait_for_processes(bridge, 1)
    since = status(bridge)[1]["processes"][0]["kafka"]["since"]
    wait_until((bridge.journal_dir / NAME).exists, timeout=120, what="the note of the outage")
    first = bridge.server_pid
    reload(bridge, 1)
    second = bridge.server_pid
    os.kill(second, signal.SIGKILL)
    bridge.wait_for(partial(is_back, bridge, second), timeout=PATIENT_S, what="another process")

    def serving() -> bool:
        told = status(bridge)[1]["processes"]
        return [one["pid"] not in {first, second} and one["kafka"]["since"] == since for one in told] == [True]

    wait_until(serving, timeout=PATIENT_S, what="the third process to tell what the first one saw")


def test_a_full_journal_is_told_with_its_setting_and_at_the_stop_what_stays_on_disk(ingress: MakeIngress) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    bridge = ingress(nowhere, BRIDGE_JOURNAL_MAX_BYTES=str(2**20), BRIDGE_LOG_FORMAT="json")
    wait_for_processes(bridge, 1)
    kept = 0
    while bridge.post(recalled(f"u{kept}", unread=1, CloudCustomData="x" * 50_000)).status == 200:
        kept += 1
    code, told = status(bridge)
    (process,) = told["processes"]
    assert (code, process["disk"]["ok"], process["disk"]["room_bytes"], process["ready"]) == (1, False, 0, False)
    assert "BRIDGE_JOURNAL_MAX_BYTES" in process["disk"]["problem"]
    assert [one["reason"] for one in process["refusals"]] == ["journal_full"]
    assert process["waiting"]["events"] == kept
    assert bridge.terminate() == 0
    records = [orjson.loads(line) for line in bridge.output().splitlines()]
    (left,) = [record for record in records if record["event"] == "left_on_disk"]
    assert (left["events"], left["folder"], left["level"]) == (kept, str(bridge.journal_dir), "warning")
    (refused,) = [record for record in records if record["event"] == "refused"]
    assert (refused["reason"], refused["app"], refused["address"]) == ("journal_full", "1400000000", "127.0.0.1")


def test_a_folder_that_is_none_is_an_error_of_usage(tmp_path: Path) -> None:
    ended = run_bridge("status", tmp_path / "nowhere")
    assert ended.returncode == 2
    assert "does not exist" in ended.stderr
    assert "no process of an ingress answers" in run_bridge("status", tmp_path).stderr
