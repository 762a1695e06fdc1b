"""`bridge console` as a process: where it starts, what it says while nothing else is there, how it ends."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conftest import MakeIngress
from tests.support import leftovers
from tests.support.callbacks import recalled
from tests.support.commands import BRIDGE, run_bridge
from tests.support.http import request
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.waiting import wait_until

NOBODY = "127.0.0.1:9"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Process]:
    """The page of a stack of which nothing runs."""
    settings = {
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": NOBODY,
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": NOBODY,
        "CONSUMERS_REDIS_URL": "redis://127.0.0.1:9/0",
        "BRIDGE_JOURNAL_DIR": str(tmp_path / "journal"),
        "BRIDGE_ADMIN_PORT": str(free_port()),
        "TMPDIR": str(tmp_path),
    }
    process = Process([BRIDGE, "console", "--port", "0"], log=tmp_path / "console.log", env=settings)
    yield process
    process.close()


def test_without_a_token_it_is_not_started_for_other_machines() -> None:
    ended = run_bridge("console", "--host", "0.0.0.0", "--port", str(free_port()))
    assert ended.returncode == 2
    assert "BRIDGE_CONSOLE_TOKEN" in ended.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run_bridge("console", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert "it is taken" in ended.stderr
    assert "BRIDGE_CONSOLE_PORT" in ended.stderr


@pytest.mark.parametrize("token", ["short", " " * 12])
def test_a_token_that_can_be_guessed_is_refused(token: str) -> None:
    ended = run_bridge("console", BRIDGE_CONSOLE_TOKEN=token)
    assert ended.returncode == 2
    assert "openssl rand" in ended.stderr


@pytest.mark.parametrize("token", ["0123456789abcdef\n", "0123456789\tabcdef"])
def test_a_token_that_nobody_can_type_is_refused_and_not_told(token: str) -> None:
    ended = run_bridge("console", BRIDGE_CONSOLE_TOKEN=token)
    assert ended.returncode == 2
    assert "BRIDGE_CONSOLE_TOKEN: it has the end of a line" in ended.stderr
    assert "0123456789" not in ended.stderr


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/badge?account=%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % (b"x" * 10_000),
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
    ],
    ids=["long", "header"],
)
def test_what_is_no_request_is_refused_and_fills_no_log(console: Process, sent: bytes) -> None:
    console.start()
    port = int(console.wait_for_log(r"^The page is at http://127\.0\.0\.1:(\d+)/$", timeout=60)[1])
    with socket.create_connection(("127.0.0.1", port)) as asked:
        asked.sendall(sent)
        answered = b"".join(iter(lambda: asked.recv(65536), b""))
    assert b"HTTP/1.1 400 " in answered or b"HTTP/1.0 400 " in answered
    assert request("GET", f"http://127.0.0.1:{port}/healthz").status == 200
    assert "ERROR" not in console.output()


def test_the_view_of_health_has_the_numbers_of_bridge_status(ingress: MakeIngress, console: Process) -> None:
    there = ingress(NOBODY)
    console.env["BRIDGE_JOURNAL_DIR"] = str(there.journal_dir)
    for number in range(5):
        assert there.post(recalled("ann", unread=number)).status == 200
    assert there.post(recalled("ann"), token="wrong-token").status == 403
    console.start()
    url = console.wait_for_log(r"^The page is at (http://127\.0\.0\.1:\d+/)$", timeout=60)[1]

    def shown() -> Any:
        return orjson.loads(request("GET", f"{url}api/health").body)["ingress"]

    wait_until(lambda: shown() and shown()["total"]["events"] == 5, timeout=60, what="the five that wait")
    told = orjson.loads(run_bridge("status", there.journal_dir, "--json").stdout)
    assert numbers_of(shown()) == numbers_of(told)
    assert numbers_of(told)["events"] == 5


def numbers_of(status: Any) -> dict[str, Any]:
    """What of a status does not move while callbacks wait and none comes."""
    (process,) = status["processes"]
    return {
        "events": status["total"]["events"],
        "bytes": status["total"]["bytes"],
        "pid": process["pid"],
        "journal": process["disk"]["journal_bytes"],
        "kafka": (process["kafka"]["state"], process["kafka"]["since"]),
        "oldest": process["waiting"]["oldest"],
        "refusals": [(one["reason"], one["count"]) for one in process["refusals"]],
    }


def test_a_worker_is_known_by_the_group_that_it_has(console: Process) -> None:
    console.env["BRIDGE_CONSOLE_WORKERS"] = orjson.dumps({"badges": [f"http://{NOBODY}"]}).decode()
    console.env["CONSUMERS_GROUP"] = "badges-of-staging"
    console.start()
    url = console.wait_for_log(r"^The page is at (http://127\.0\.0\.1:\d+/)$", timeout=60)[1]
    wait_until(
        lambda: orjson.loads(request("GET", f"{url}api/access").body)["workers"] == {"badges-of-staging": "badges"},
        timeout=60,
        what="the group of the worker",
    )


def test_each_view_says_what_it_lacks_and_the_process_ends_with_its_child(console: Process, tmp_path: Path) -> None:
    console.start()
    url = console.wait_for_log(r"^The page is at (http://127\.0\.0\.1:\d+)/$", timeout=60)[1]
    assert b"<!doctype html>" in request("GET", f"{url}/").body

    def problems() -> dict[str, str]:
        health = orjson.loads(request("GET", f"{url}/api/health").body)
        return {name: value for name, value in health.items() if name.endswith("_problem") and value}

    wait_until(lambda: {"ingress_problem", "kafka_problem"} <= problems().keys(), timeout=60, what="all that lacks")
    assert "BRIDGE_CONSOLE_INGRESS" in problems()["ingress_problem"]
    badge = request("GET", f"{url}/api/badge?account=ann")
    assert badge.status == 200
    report = orjson.loads(badge.body)
    assert "Redis at redis://127.0.0.1:9/0 cannot be used" in report["problem"]
    assert NOBODY in report["events_problem"]
    letters = request("GET", f"{url}/api/letters")
    assert letters.status == 503
    assert "BRIDGE_KAFKA_BOOTSTRAP_SERVERS" in orjson.loads(letters.body)["error"]
    assert any(" desk" in line for line in leftovers.processes(tmp_path))
    os.kill(console.pid, signal.SIGKILL)
    wait_until(lambda: not leftovers.processes(tmp_path), timeout=20, what="the end of its child")
