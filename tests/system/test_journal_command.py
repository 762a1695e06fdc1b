"""`bridge journal`: what is held can be seen, and published by hand, and what it says is so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import orjson
import pytest

from bridge.devstack.service import environment
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import BRIDGE, IngressProcess, run_bridge
from tests.support.disk import can_mount, mount, unmount
from tests.support.ports import free_port
from tests.support.topic import Topics, create_topic, wait_for_events

NOWHERE = "127.0.0.1:1"


def journal(
    *command: str | Path, kafka: str = NOWHERE, code: int = 0, dlq: str = "im.events.dlq"
) -> subprocess.CompletedProcess[str]:
    """Ends with `code`, and without a traceback. BRIDGE_APPS is not set: where a journal is rescued, nobody has it."""
    ended = run_bridge("journal", *command, COLUMNS="200", BRIDGE_KAFKA_BOOTSTRAP_SERVERS=kafka, BRIDGE_DLQ_TOPIC=dlq)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


def of(bridge: IngressProcess, *command: str, kafka: str = NOWHERE, code: int = 0) -> str:
    """What the command prints in the place of an ingress."""
    settings = {name: value for name, value in bridge.env.items() if name != "BRIDGE_APPS"}
    settings |= {"COLUMNS": "200", "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": kafka}
    ended = run_bridge("journal", *command, cwd=bridge.log.parent, **settings)
    assert ended.returncode == code, ended.stderr
    return ended.stdout


def left_behind(folder: Path, topic: str, events: int) -> Path:
    """A journal whose owner is gone."""
    store = Store.create(folder)
    rows = [
        Row(seq, topic, 1, 100, pack([Record(topic, b"k", b'{"subject":"u%d"}' % seq, [], 5)]))
        for seq in range(1, events + 1)
    ]
    store.write(rows, [], sync=True)
    store.close()
    return store.path


def test_what_is_held_is_listed_shown_and_published_by_hand(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}")
    for number in range(3):
        assert bridge.post(recalled(f"u{number}", unread=1)).status == 200
    pid = bridge.server_pid
    headings, row, *_ = of(bridge, "list").splitlines()
    assert headings.split("\t")[0] == "journal"
    assert f":{pid} alive ({pid})" in row
    assert bridge.topics.events in row
    shown = of(bridge, "show", "--limit", "2")
    assert [line.split("\t")[:2] for line in shown.splitlines()] == [[bridge.topics.events, f"u{n}"] for n in (0, 1)]
    told = journal("drain", bridge.journal_dir, code=1).stderr
    assert f"in use by the living process {pid}" in told
    bridge.kill()
    listed = of(bridge, "list")
    assert f":{pid} gone" in listed
    assert "alive" not in listed

    bridge.topics.create(broker.bootstrap)
    told = of(bridge, "drain", str(bridge.journal_dir), kafka=broker.bootstrap)
    assert "found 3 events in 1 journal " in told
    assert f"published 3 events to {bridge.topics.events}" in told
    assert "nothing is left" in told
    found = wait_for_events(broker.bootstrap, bridge.topics.events, lambda messages: len(messages) == 3)
    assert {message.event["subject"] for message in found} == {"u0", "u1", "u2"}
    assert {path.name for path in bridge.journal_dir.iterdir()} <= {"audit", "kafka-away-since"}


def test_a_drain_tells_what_it_left_and_why_and_publishes_the_rest(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, topics.events)
    left_behind(tmp_path, topics.events, 4)
    foreign = tmp_path / f"{1:020d}-host-1-0123abcd.journal"
    foreign.symlink_to("/dev/zero")
    damaged = tmp_path / f"{2:020d}-host-1-0123abcd.journal"
    damaged.write_bytes(b"no journal" * 99)
    owned = Store.create(tmp_path)  # By this process, which lives.
    ended = journal("drain", tmp_path, "--json", kafka=broker.bootstrap, code=1)
    owned.remove()
    told = orjson.loads(ended.stdout)
    assert (told["complete"], told["journals"], told["published"]) == (False, 4, {topics.events: 4})
    reasons = {one["name"]: one["reason"] for one in told["left"]}
    assert set(reasons) == {foreign.name, damaged.with_suffix(".damaged").name, owned.path.name}
    assert "symbolic link" in reasons[foreign.name]
    assert "damaged" in reasons[damaged.with_suffix(".damaged").name]
    assert [one["owner_pid"] for one in told["left"] if one["name"] == owned.path.name] == [os.getpid()]
    wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) == 4)
    again = journal("drain", tmp_path, kafka=broker.bootstrap, code=1)
    assert "not everything was published" in again.stderr


def test_a_drain_that_cannot_reach_kafka_gives_up_and_names_the_address_and_the_setting(tmp_path: Path) -> None:
    path = left_behind(tmp_path, "im.events", 4)
    ended = journal("drain", tmp_path, "--timeout", "2", code=1)
    assert f"left: {path.name} with 4 events" in ended.stderr
    assert f"Kafka at {NOWHERE} (BRIDGE_KAFKA_BOOTSTRAP_SERVERS)" in ended.stderr
    assert "published" not in ended.stdout
    assert "callbacks" not in ended.stderr.lower(), "it takes none"
    assert path.exists()


def test_records_that_kafka_refuses_for_good_are_not_said_to_be_published(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, topics.events, config={"max.message.bytes": "10000"})
    store = Store.create(tmp_path)
    large = Record(topics.events, b"k", b"x" * 20_000, [], 5)
    small = Record(topics.events, b"k", b'{"subject":"u"}', [], 5)
    store.write([Row(1, topics.events, 2, 20_200, pack([large, small]))], [], sync=True)
    store.close()
    ended = journal("drain", tmp_path, kafka=broker.bootstrap, code=1, dlq=topics.dlq)
    assert f"published 1 event to {topics.events}" in ended.stdout
    assert f"Kafka refuses 1 event of {topics.events} for good" in ended.stderr
    assert "1 record that Kafka refuses for good" in journal("list", tmp_path).stdout
    (shown,) = journal("show", "--refused", "--json", tmp_path).stdout.splitlines()
    assert orjson.loads(shown)["value"] == "x" * 20_000


@pytest.mark.parametrize("command", ["list", "show"])
def test_to_look_at_journals_writes_nothing_not_even_a_copy(command: str, tmp_path: Path) -> None:
    path = left_behind(tmp_path, "im.events", 2)
    before = path.read_bytes()
    # Every write to a file fails: on the disk that is to be saved there is no room for a copy, nor elsewhere perhaps.
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$0" "$@"', BRIDGE, "journal", command, tmp_path],
        env=environment({"COLUMNS": "200"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "im.events" in ended.stdout
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], before)


@pytest.mark.parametrize("command", [("list",), ("show",), ("show", "--refused"), ("drain",)])
def test_a_folder_that_is_none_is_an_error_of_usage(command: tuple[str, ...], tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert f"{missing} does not exist" in journal(*command, missing, code=2).stderr
    assert not missing.exists()


def test_a_folder_without_journals_is_told_apart_from_one_that_was_published(tmp_path: Path) -> None:
    assert "there are no journals" in journal("drain", tmp_path, code=1).stderr
    assert "There are no journals" in journal("list", tmp_path).stdout
    assert list(tmp_path.iterdir()) == []
    a_file = tmp_path / "file"
    a_file.touch()
    assert "is no folder" in journal("drain", a_file, code=2).stderr


def test_an_unreadable_journal_is_listed_with_what_is_wrong_and_hides_no_other(tmp_path: Path) -> None:
    path = left_behind(tmp_path, "im.events", 2)
    broken = tmp_path / f"{0:020d}-host-1-0123abcd.journal"
    broken.write_bytes(b"no journal" * 99)
    ended = journal("list", tmp_path)
    rows = {row.split("\t")[0]: row.split("\t") for row in ended.stdout.splitlines()}
    assert rows[broken.name] == [broken.name, "host:1 gone", "990", "", "unreadable", ""]
    assert rows[path.name][3:5] == ["im.events", "2"]
    assert f"{broken.name} cannot be read" in ended.stderr
    assert len(journal("show", tmp_path, code=1).stdout.splitlines()) == 2


def test_a_read_only_disk_is_listed_and_the_drain_says_what_to_do(tmp_path: Path) -> None:
    if not can_mount():
        pytest.skip("a file system cannot be mounted here")
    mount(tmp_path, size_bytes=8 * 1024 * 1024)
    try:
        path = left_behind(tmp_path, "im.events", 2)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        assert "gone" in journal("list", tmp_path).stdout
        assert len(journal("show", tmp_path).stdout.splitlines()) == 2
        told = journal("drain", tmp_path, code=1).stderr
        assert f"left: {path.name}" in told
        assert "cannot be written: copy it" in told
    finally:
        unmount(tmp_path)


@pytest.mark.parametrize("command", [("journal", "list"), ("journal", "show"), ("status",), ("doctor", "--json")])
def test_where_a_journal_is_rescued_the_secrets_of_the_ingress_need_not_be(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    left_behind(tmp_path, "im.events", 2)
    ended = run_bridge(
        *command,
        BRIDGE_JOURNAL_DIR=str(tmp_path),
        BRIDGE_APPS_FILE=str(tmp_path / "apps"),
        BRIDGE_ALLOWED_NETWORKS="auto",
        BRIDGE_KAFKA_BOOTSTRAP_SERVERS=NOWHERE,
    )
    assert ("which is not here: this goes on without it" in ended.stderr) == (command[0] == "doctor")
    assert "error: BRIDGE" not in ended.stderr
    assert ended.stdout
    assert ended.returncode == (0 if command[0] == "journal" else 1)


OF_THE_INGRESS = {
    "BRIDGE_APPS": "no JSON",
    "BRIDGE_IM_APPS_FILE": "/nowhere",
    "BRIDGE_ALLOWED_NETWORKS": "everybody",
    "BRIDGE_TRUSTED_PROXIES": "?",
    "BRIDGE_PORT": "http",
    "BRIDGE_PROXY_PROTOCOL": "on",
    "BRIDGE_TLS_CERTIFICATE": "/nowhere",
    "BRIDGE_DECISION_URLS": "no JSON",
    "BRIDGE_TRACE_SHARE": "all",
}


def test_a_rescue_reads_no_setting_that_it_does_not_use(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    topics.create(broker.bootstrap)
    left_behind(tmp_path, topics.events, 2)
    settings = {
        "BRIDGE_JOURNAL_DIR": str(tmp_path),
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        **OF_THE_INGRESS,
    }
    listed = run_bridge("journal", "list", cwd=tmp_path, **settings)
    assert (listed.returncode, listed.stderr) == (0, "")
    drained = run_bridge("journal", "drain", cwd=tmp_path, **settings)
    assert drained.returncode == 0, drained.stderr
    assert f"published 2 events to {topics.events}" in drained.stdout


def test_a_rescue_says_which_setting_that_it_uses_is_wrong(tmp_path: Path) -> None:
    ended = run_bridge("journal", "drain", str(tmp_path), BRIDGE_KAFKA_SASL_PASSWORD_FILE="/nowhere")
    assert ended.returncode == 2
    assert "BRIDGE_KAFKA_SASL_PASSWORD_FILE" in ended.stderr
