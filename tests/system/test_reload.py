"""New code and new settings without losing a callback: SIGHUP, `bridge reload`, and what may be wrong with either."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import TOKEN, recalled
from tests.support.commands import BRIDGE, IngressProcess
from tests.support.http import request
from tests.support.load import Load
from tests.support.ports import free_port
from tests.support.reloading import (
    NOWHERE,
    PATIENT_S,
    copied_program,
    is_back,
    reload,
    reload_of,
    replace,
    wait_for_reload,
)
from tests.support.topic import read_all
from tests.support.verdict import verdict
from tests.support.waiting import wait_until

KEPT_RAW = "BRIDGE_KEEP_RAW=true\n"


def all_answered(load: Load) -> None:
    assert not load.turned_away, f"{len(load.turned_away)} connections were refused: {load.turned_away[:3]}"
    assert not load.unanswered, f"{len(load.unanswered)} callbacks had no answer: {load.unanswered[:3]}"
    assert not load.refused, f"{len(load.refused)} callbacks were refused: {load.refused[:3]}"
    assert not load.slow()


def all_arrived(load: Load, broker: Broker, bridge: IngressProcess) -> None:
    wait_until(
        lambda: (
            not any(bridge.metric(f"bridge_{held}_bytes") for held in ("journal", "memory"))
            and len(list(bridge.journal_dir.glob("*.journal"))) == len(bridge.children())
        ),
        timeout=PATIENT_S,
        what=lambda: f"the journals to drain\n{bridge.tail()}",
    )
    events = [message.event for message in read_all(broker.bootstrap, bridge.topics.events)]
    result = verdict(load.acknowledged, events)
    assert not result.lost
    assert not result.two_ids


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_reload_under_load_answers_every_callback_and_refuses_no_connection(
    workers: str, ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker, BRIDGE_WORKERS=workers)
    with Load(bridge.port, connections=16, rate=400) as load:
        load.wait_acknowledged(200)
        pid = bridge.pid
        (bridge.log.parent / ".env").write_text(KEPT_RAW)
        reload(bridge, 1)
        load.wait_acknowledged(200)
    all_answered(load)
    assert (bridge.running, bridge.pid) == (True, pid)
    assert bridge.metric("bridge_reloads_total", outcome="done") == 1
    assert bridge.metric("bridge_restarts_total") == 0
    assert bridge.metric("bridge_accepted_total") == len(load.acknowledged), "by those that are gone, too"
    all_arrived(load, broker, bridge)
    kept = [dict(message.headers) for message in read_all(broker.bootstrap, bridge.topics.events)]
    assert "raw-body" not in kept[0], "the former setting"
    assert sum("raw-body" in headers for headers in kept) > 100, "the new setting"
    assert bridge.terminate(30) == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_reloads_and_an_upgrade_under_load_lose_nothing(
    ingress: MakeIngress, own_broker: Broker, tmp_path: Path
) -> None:
    program = copied_program(tmp_path / "program")
    bridge = ingress(own_broker, BRIDGE_WORKERS="2", PYTHONPATH=str(program))
    with Load(bridge.port, connections=32, rate=500) as load:
        for number in range(1, 11):
            load.wait_acknowledged(300)
            reload(bridge, number)
        replace(program / "bridge/process/app.py", '"stopped"', '"stopped, says the new version"')
        reload(bridge, 11)
        load.wait_acknowledged(300)
    all_answered(load)
    all_arrived(load, own_broker, bridge)
    assert bridge.terminate(30) == 0
    assert bridge.output().count("stopped, says the new version") == 2


def test_connections_that_are_idle_at_a_reload_have_time_to_bring_another_callback(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE)
    callback = recalled("u", unread=1)
    request_bytes = (
        f"POST /{callback.signed()} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(callback.body)}\r\n\r\n".encode()
        + callback.body
    )
    with bridge.connection() as connection:
        connection.sendall(request_bytes)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        os.kill(bridge.pid, signal.SIGHUP)
        bridge.wait_for_log("another process accepts in place of this one", timeout=PATIENT_S)
        connection.sendall(request_bytes)
        reply = connection.recv(4096)
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in reply.lower()
    wait_for_reload(bridge, 1, "done")


def test_settings_that_are_wrong_are_refused_and_all_goes_on_as_before(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE)
    settings = bridge.log.parent / ".env"
    serving = bridge.server_pid
    settings.write_text("BRIDGE_GATHER_MS=soon\n")
    done = subprocess.run(
        [BRIDGE, "reload"],
        env={**os.environ, **bridge.env},
        cwd=settings.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {1, 2}, "it reads the same settings"
    os.kill(bridge.pid, signal.SIGHUP)
    told = wait_for_reload(bridge, 1, "refused")
    assert "BRIDGE_GATHER_MS" in told["problem"]
    assert "nothing is replaced, and all goes on as before" in bridge.output()
    assert bridge.server_pid == serving
    assert bridge.post(recalled("u", unread=1)).status == 200
    assert bridge.metric("bridge_reloads_total", outcome="refused") == 1
    assert bridge.metric("bridge_last_reload_ok") == 0
    settings.write_text("BRIDGE_GATHER_MS=1\n")
    reload(bridge, 2)
    assert bridge.metric("bridge_reloads_total", outcome="refused") == 1, "counted through the change of programs"
    assert bridge.metric("bridge_last_reload_ok") == 1


@pytest.mark.slow
def test_a_version_that_cannot_be_imported_or_does_not_start_replaces_nothing(
    ingress: MakeIngress, tmp_path: Path
) -> None:
    program = copied_program(tmp_path / "program")
    module = program / "bridge/process/app.py"
    good = module.read_text()
    bridge = ingress(NOWHERE, PYTHONPATH=str(program))
    serving = bridge.server_pid

    module.write_text("raise ImportError('a package is missing')\n")
    os.kill(bridge.pid, signal.SIGHUP)
    assert "a package is missing" in wait_for_reload(bridge, 1, "refused")["problem"]

    module.write_text(good)
    replace(module, "await bridge.start(is_awaited=is_awaited)", "raise RuntimeError('only seen at the start')")
    os.kill(bridge.pid, signal.SIGHUP)
    assert "process 0 ended with exit status 1" in wait_for_reload(bridge, 2, "failed")["problem"]
    assert "only seen at the start" in bridge.output()
    assert serving in bridge.children(), "the former goes on"
    assert bridge.post(recalled("u", unread=1)).status == 200
    assert request("GET", f"{bridge.admin_url}/readyz").status == 200

    module.write_text(good)
    reload(bridge, 3)
    assert bridge.post(recalled("u", unread=1)).status == 200


@pytest.mark.slow
def test_what_a_replaced_process_could_not_publish_is_published_by_another(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_ADOPT_INTERVAL_S="0.2", BRIDGE_DRAIN_S="1")
    with Load(bridge.port, connections=16, rate=200) as load:
        load.wait_acknowledged(100)
        own_broker.stop()
        load.wait_acknowledged(100)
        reload(bridge, 1)
        load.wait_acknowledged(100)
        reload(bridge, 2)
        own_broker.start()
        load.wait_acknowledged(100)
    all_answered(load)
    all_arrived(load, own_broker, bridge)


@pytest.mark.parametrize("at", ["are checked", "takes over", "is accepting callbacks(?s:.*)is accepting callbacks"])
def test_sigterm_during_a_reload_stops_it_in_order(at: str, ingress: MakeIngress) -> None:
    """And at once: whoever asked has not the time that clients of a replaced process have."""
    bridge = ingress(NOWHERE, BRIDGE_WORKERS="1", BRIDGE_DRAIN_S="3600")
    with bridge.connection():
        os.kill(bridge.pid, signal.SIGHUP)
        bridge.wait_for_log(at, timeout=PATIENT_S)
        assert bridge.terminate(PATIENT_S) == 0
    assert not bridge.group()
    assert bridge.output().count("bridge.process.app: stopped") >= 1
    assert "Traceback" not in bridge.output()


def test_reloads_that_are_asked_for_during_one_become_one_more(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE)
    serving = bridge.server_pid
    os.kill(serving, signal.SIGSTOP)  # Until it ends the first reload is not over, however late the others are.
    os.kill(bridge.pid, signal.SIGHUP)
    bridge.wait_for_log("are checked", timeout=PATIENT_S)
    for _ in range(5):
        os.kill(bridge.pid, signal.SIGHUP)
    os.kill(serving, signal.SIGCONT)
    bridge.wait_for(lambda: reload_of(bridge).get("number", 0) == 2, timeout=PATIENT_S, what="another reload")
    wait_for_reload(bridge, 2, "done")
    assert len(bridge.children()) == 1


def test_the_command_waits_until_it_is_done_and_says_what_is_wrong(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE, BRIDGE_WORKERS="2")

    def command() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BRIDGE, "reload"], env={**os.environ, **bridge.env}, capture_output=True, text=True, check=False
        )

    before = set(bridge.children())
    done = command()
    assert (done.returncode, done.stderr) == (0, "")
    assert "every process is new" in done.stdout
    assert not before & set(bridge.children())
    (bridge.log.parent / ".env").write_text("BRIDGE_GATHER_MS=soon\n")
    done = command()
    assert done.returncode == 1
    assert "BRIDGE_GATHER_MS" in done.stderr
    assert bridge.terminate(30) == 0
    done = command()
    assert done.returncode == 2
    assert "no ingress tells" in done.stderr


@pytest.mark.slow
def test_more_and_fewer_processes_and_another_port_come_with_a_reload(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE)
    del bridge.env["BRIDGE_PORT"]
    bridge.terminate(30)
    settings = bridge.log.parent / ".env"
    other = free_port()
    settings.write_text(f"BRIDGE_PORT={bridge.port}\nBRIDGE_WORKERS=1\n")
    bridge.start_ready()
    settings.write_text(f"BRIDGE_PORT={bridge.port}\nBRIDGE_WORKERS=3\n")
    reload(bridge, 1)
    wait_until(lambda: len(bridge.children()) == 3, timeout=PATIENT_S, what="three processes")
    settings.write_text(f"BRIDGE_PORT={other}\nBRIDGE_WORKERS=2\n")
    reload(bridge, 2)
    assert len(bridge.children()) == 2
    bridge.port = other
    assert bridge.post(recalled("u", unread=1)).status == 200


def test_a_process_that_is_killed_is_back_with_the_same_settings(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE)
    for _ in range(3):
        killed = bridge.server_pid
        os.kill(killed, signal.SIGKILL)
        bridge.wait_for(partial(is_back, bridge, killed), timeout=PATIENT_S, what="another process")
        assert bridge.post(recalled("u", unread=1)).status == 200
    assert len(list(Path(f"/proc/{bridge.pid}/task").iterdir())) == 1, "beside a thread nothing could be forked"


def test_a_socket_that_whoever_starts_it_has_bound_is_taken(ingress: MakeIngress, tmp_path: Path) -> None:
    bridge = ingress(NOWHERE)
    bridge.terminate(30)
    script = tmp_path / "activate.py"
    script.write_text(ACTIVATE)
    bridge.command = [str(BRIDGE.parent / "python"), str(script), str(bridge.port), *bridge.command]
    # The port of the setting is taken by nobody: it may be that of the admin pages.
    bridge.env["BRIDGE_PORT"] = bridge.env["BRIDGE_ADMIN_PORT"]
    bridge.start_ready()
    assert bridge.post(recalled("u", unread=1)).status == 200
    reload(bridge, 1)
    assert bridge.post(recalled("u", unread=1)).status == 200
    assert bridge.terminate(30) == 0


ACTIVATE = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.execve(sys.argv[2], sys.argv[2:], {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
"""


def test_a_process_that_lingers_is_not_ready_and_takes_new_connections(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE, BRIDGE_STOP_LINGER_S="3600")
    serving = bridge.server_pid
    os.kill(bridge.pid, signal.SIGTERM)
    bridge.wait_for_http(f"{bridge.admin_url}/readyz", status=503, timeout=PATIENT_S)
    bridge.wait_for_log("stopping in 3600 s", timeout=PATIENT_S)
    assert bridge.post(recalled("u", unread=1)).status == 200
    assert request("GET", f"{bridge.admin_url}/readyz").json["state"] == "stopping"
    os.kill(serving, signal.SIGKILL)
    assert bridge.wait(PATIENT_S) == 0


def test_it_stops_by_itself_when_it_has_lingered(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE, BRIDGE_STOP_LINGER_S="0.5")
    assert bridge.terminate(PATIENT_S) == 0
    assert "bridge.process.app: stopped" in bridge.output()


def test_with_all_addresses_of_ipv6_both_families_are_served(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE, BRIDGE_HOST="::", BRIDGE_ALLOWED_NETWORKS='["127.0.0.1","::1"]')
    callback = recalled("u", unread=1)
    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{bridge.port}/{callback.signed(token=TOKEN)}"
        assert request("POST", url, callback.body).status == 200
