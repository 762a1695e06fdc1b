"""`bridge doctor` says what is wrong before it costs a callback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from aiokafka.protocol.metadata import MetadataResponse_v5

from tests.support import disk
from tests.support.broker import Broker
from tests.support.commands import run_bridge
from tests.support.decider import DecidingEndpoint
from tests.support.disk import can_mount
from tests.support.im_platform import SECRET_KEY, ImPlatform
from tests.support.ports import free_port
from tests.support.topic import Topics, create_topic

API_VERSIONS, METADATA = 18, 3


def doctor(folder: Path, **settings: str) -> tuple[int, str]:
    """Its exit status and all that it prints."""
    defaults = {
        "COLUMNS": "250",
        "BRIDGE_APPS": '{"1400000000":["s3cret"]}',
        "BRIDGE_JOURNAL_DIR": str(folder / "journal"),
        "BRIDGE_JOURNAL_MAX_BYTES": str(1024 * 1024),
        "BRIDGE_PORT": str(free_port()),
    }
    ended = run_bridge("doctor", cwd=folder, **{**defaults, **settings})
    assert "Traceback" not in ended.stderr
    assert "s3cret" not in ended.stdout + ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


def test_all_is_well_on_a_real_broker(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    topics.create(broker.bootstrap)
    with DecidingEndpoint() as endpoint:
        status, shown = doctor(
            tmp_path,
            BRIDGE_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
            BRIDGE_TOPIC=topics.events,
            BRIDGE_DLQ_TOPIC=topics.dlq,
            BRIDGE_DECISION_URLS=f'{{"*":"{endpoint.url()}"}}',
        )
    assert endpoint.events == [], "a question has effects"
    assert (status, "fault" in shown) == (0, False), shown
    assert "4 partitions" in shown


def test_each_fault_is_named_with_what_to_do(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    create_topic(broker.bootstrap, topics.events, config={"max.message.bytes": "1000"})
    (tmp_path / "journal").write_text("a file where a folder should be")
    status, shown = doctor(
        tmp_path,
        BRIDGE_APPS='{"1400000000":[]}',
        BRIDGE_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
        BRIDGE_TOPIC=topics.events,
        BRIDGE_DECISION_URLS='{"*":"http://me:s3cret@127.0.0.1:9/s3cret"}',
    )
    assert status == 1
    assert "BRIDGE_DECISION_URLS" in shown
    assert "Switch on authentication" in shown
    assert "BRIDGE_JOURNAL_DIR" in shown
    assert "raise its max.message.bytes" in shown


@pytest.mark.skipif(not can_mount(), reason="nothing may be mounted here")
def test_of_a_disk_that_is_full_it_says_to_make_room_not_to_take_another_folder(tmp_path: Path) -> None:
    def told_of_disk() -> str:
        _, shown = doctor(tmp_path, BRIDGE_JOURNAL_MAX_BYTES=str(8 << 20))
        return "\n".join(line for line in shown.splitlines() if "\tjournal in " in line or "\tspace for it" in line)

    (tmp_path / "journal").mkdir()
    disk.mount(tmp_path / "journal", size_bytes=10 << 20)
    try:
        (tmp_path / "journal" / "1.journal").write_bytes(bytes(5 << 20))
        assert "ok\tspace for it" in told_of_disk(), "what the journals have by now they do not need again"
        assert "and have 5.0 MiB" in told_of_disk()
        (tmp_path / "journal" / "of-others").write_bytes(bytes(3 << 20))
        assert "fault\tspace for it" in told_of_disk()
        assert "remove from the disk what others keep there" in told_of_disk()
        disk.fill(tmp_path / "journal")
        told = told_of_disk()
        assert "No space left on device): remove from the disk what others keep there" in told
        assert "BRIDGE_JOURNAL_DIR" not in told, "what waits in this folder would be left behind"
    finally:
        disk.unmount(tmp_path / "journal")


def test_of_both_ports_it_is_told_whether_they_can_be_had(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        _, shown = doctor(tmp_path, BRIDGE_HOST="192.0.2.1", BRIDGE_PORT="8080", BRIDGE_ADMIN_PORT=str(taken))
    assert "fault\tport 8080\tcannot listen on 192.0.2.1 port 8080: " in shown
    assert "see BRIDGE_HOST" in shown
    assert (
        f"ok\tport {taken}\tin use: by the ingress, if it runs; else by another program, see BRIDGE_ADMIN_PORT" in shown
    )


def test_one_port_for_callbacks_and_the_admin_pages_is_a_fault(tmp_path: Path) -> None:
    port = str(free_port())
    status, shown = doctor(tmp_path, BRIDGE_HOST="0.0.0.0", BRIDGE_PORT=port, BRIDGE_ADMIN_PORT=port)
    assert status == 1
    assert f"fault\tport {port}\t{one_port_told(port)}" in shown


def one_port_told(port: str) -> str:
    return f"port {port} is for callbacks and for health checks: give BRIDGE_PORT or BRIDGE_ADMIN_PORT another"


@pytest.mark.parametrize("command", [("serve",), ("serve", "--check")], ids=" ".join)
def test_it_does_not_start_with_one_port_for_callbacks_and_the_admin_pages(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    port = str(free_port())
    apps = '{"1400000000":["s3cret"]}'
    ended = run_bridge(*command, cwd=tmp_path, BRIDGE_APPS=apps, BRIDGE_PORT=port, BRIDGE_ADMIN_PORT=port)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, f"error: {one_port_told(port)}")


def test_where_systemd_holds_the_port_for_callbacks_its_setting_may_be_that_of_the_admin_pages(tmp_path: Path) -> None:
    (systemctl := tmp_path / "systemctl").write_text('#!/bin/sh\n[ "$*" = "is-active --quiet im-bridge.socket" ]\n')
    systemctl.chmod(0o755)
    port, path = str(free_port()), f"{tmp_path}:{os.environ['PATH']}"
    _, shown = doctor(tmp_path, PATH=path, BRIDGE_PORT=port, BRIDGE_ADMIN_PORT=port)
    assert shown.count(f"ok\tport {port}\tfree") == 2
    apps = '{"1400000000":["s3cret"]}'
    checked = run_bridge(
        "serve", "--check", cwd=tmp_path, PATH=path, BRIDGE_APPS=apps, BRIDGE_PORT=port, BRIDGE_ADMIN_PORT=port
    )
    assert checked.returncode == 0, checked.stderr


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    status, shown = doctor(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    assert status == 1
    assert "nothing listens there" in shown


def test_each_of_several_servers_that_cannot_be_reached_is_named(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    topics.create(broker.bootstrap)
    status, shown = doctor(
        tmp_path,
        BRIDGE_KAFKA_BOOTSTRAP_SERVERS=f"{broker.bootstrap},nowhere.invalid:9092,127.0.0.1:1",
        BRIDGE_TOPIC=topics.events,
        BRIDGE_DLQ_TOPIC=topics.dlq,
    )
    faults = [line for line in shown.splitlines() if line.startswith("fault")]
    assert (status, len(faults)) == (1, 2), shown
    assert "nowhere.invalid:9092" in faults[0]
    assert "127.0.0.1:1\t" in faults[1]
    assert "4 partitions" in shown


def test_a_server_that_speaks_something_else_than_kafka_is_told_as_such(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        _, shown = doctor(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{mute.getsockname()[1]}")
    assert "does not answer as a Kafka broker does" in shown
    assert "BOOTSTRAP_SERVERS" in shown


class MisleadingBroker:
    """Answers its clients that they find the broker elsewhere; a context manager, whose value is its port."""

    def __init__(self, host: str, port: int) -> None:
        self._elsewhere = (1, host, port, None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                length, api, _version, correlation_id = struct.unpack(">ihhi", await reader.readexactly(12))
                await reader.readexactly(length - 8)
                if api == API_VERSIONS:
                    body = struct.pack(">hihhh", 0, 1, METADATA, 5, 5)
                else:
                    body = MetadataResponse_v5(0, [self._elsewhere], "cluster", 1, []).encode()
                answer = struct.pack(">i", correlation_id) + body
                writer.write(struct.pack(">i", len(answer)) + answer)
        writer.close()

    def __enter__(self) -> int:
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return int(self._server.sockets[0].getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()


@pytest.mark.parametrize(
    ("host", "why"), [("nowhere.invalid", "is not known here"), ("127.0.0.1", "nothing listens there")]
)
def test_a_broker_that_sends_its_clients_elsewhere_is_told_with_that_address(
    host: str, why: str, tmp_path: Path
) -> None:
    port = free_port()
    with MisleadingBroker(host, port) as bootstrap:
        status, shown = doctor(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{bootstrap}")
    assert status == 1
    [fault] = [line for line in shown.splitlines() if line.startswith("fault")]
    assert f"{host}:{port}" in fault
    assert why in fault
    assert "advertised.listeners" in fault


def test_nothing_is_changed_not_even_a_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "journal"
    _, shown = doctor(tmp_path, BRIDGE_JOURNAL_DIR=str(folder), BRIDGE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert f"journal in {folder}\tnot there yet; made at the start" in shown
    assert "ok\tjournal in" in shown
    assert list(tmp_path.iterdir()) == []


def test_that_no_app_is_set_is_told_and_is_no_fault_where_journals_are_rescued(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    topics.create(broker.bootstrap)
    status, shown = doctor(
        tmp_path,
        BRIDGE_APPS="",
        BRIDGE_ALLOWED_NETWORKS="auto",
        BRIDGE_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
        BRIDGE_TOPIC=topics.events,
        BRIDGE_DLQ_TOPIC=topics.dlq,
    )
    assert status == 0, shown
    apps, networks = (line for line in shown.splitlines() if line.startswith("note\t"))
    assert "BRIDGE_APPS is not set here" in apps
    assert "the ingress does not start without it" in apps
    assert "BRIDGE_IM_APPS is not set here" in networks


def test_where_no_app_is_set_all_else_is_tried_and_a_fault_is_one(tmp_path: Path) -> None:
    status, shown = doctor(tmp_path, BRIDGE_APPS="", BRIDGE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert status == 1
    assert "note\tapps\tBRIDGE_APPS is not set here" in shown
    assert "nothing listens there" in shown


def networks_found(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if "networks" in line]


def test_who_may_post_is_told_and_the_platform_is_asked_for_its_networks(platform: ImPlatform, tmp_path: Path) -> None:
    platform.networks = {"5": ["203.0.113.7", "198.51.100.0/24"], "6": ["0.0.0.0/0", "192.0.2.1"]}
    settings = {
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "BRIDGE_ALLOWED_NETWORKS": '["auto","192.0.2.0/24"]',
        "BRIDGE_IM_APPS": platform.credentials(),
    }
    status, shown = doctor(tmp_path, **settings)
    assert status == 1
    china, abroad, kept, static = networks_found(shown)
    assert china == "ok\tplatform's networks, app 1400000000, nettype 5\t2 networks"
    assert abroad.startswith(
        "fault\tplatform's networks, app 1400000000, nettype 6\t1 network; not accepted: 0.0.0.0/0"
    )
    assert kept.startswith(f"ok\tnetworks kept in {tmp_path}/journal/platform-networks.json\tnone: ")
    assert "beside what the platform names: 1 network" in static
    assert not (tmp_path / "journal").exists(), "nothing is changed"

    platform.fault = lambda _: 50003
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "platform-networks.json").write_text("{")
    refused, kept, _ = networks_found(doctor(tmp_path, **settings, BRIDGE_ALLOWED_NETWORKS_REGION="china")[1])
    assert refused.startswith("fault\t")
    assert "error 50003" in refused
    assert "see BRIDGE_IM_APPS" in refused
    assert kept.startswith("fault\t")
    assert "is damaged" in kept
    assert SECRET_KEY not in shown


def test_what_an_ingress_would_go_by_without_an_answer_is_shown_with_its_age(
    platform: ImPlatform, tmp_path: Path
) -> None:
    (tmp_path / "journal").mkdir()
    saved = {
        "format": 1,
        "lists": {"1/5": {"answered": time.time() - 3 * 3600 - 60, "networks": {"203.0.113.7/32": 0}}},
    }
    (tmp_path / "journal" / "platform-networks.json").write_text(json.dumps(saved))
    platform.fault = lambda _: "http:502"
    _, shown = doctor(
        tmp_path,
        BRIDGE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        BRIDGE_ALLOWED_NETWORKS="auto",
        BRIDGE_ALLOWED_NETWORKS_REGION="china",
        BRIDGE_IM_APPS=platform.credentials(),
    )
    asked, kept = networks_found(shown)
    assert "answers with HTTP status 502" in asked
    assert kept.endswith("\t1 network, named 3 h ago")


@pytest.mark.parametrize(
    ("networks", "told"), [("", "any address may post"), ('["203.0.113.0/24","192.0.2.1"]', "2 networks of BRIDGE_")]
)
def test_who_may_post_without_the_platform_being_asked_is_told(tmp_path: Path, networks: str, told: str) -> None:
    _, shown = doctor(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", BRIDGE_ALLOWED_NETWORKS=networks)
    (line,) = networks_found(shown)
    assert line.startswith("ok\tallowed networks\t")
    assert told in line


def test_more_tokens_of_an_app_than_four_are_told(tmp_path: Path) -> None:
    apps = '{"1400000000":["s3cret","b","c","d","e"],"1400000001":["a","b","a","b","a"]}'
    _, shown = doctor(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", BRIDGE_APPS=apps)
    assert "ok\tapp 1400000000\t5 tokens, and each of them lets in whoever knows it" in shown
    assert "ok\tapp 1400000001\t2 tokens\n" in shown
