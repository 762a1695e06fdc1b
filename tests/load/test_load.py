"""`bridge load` against a real ingress."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading

import orjson

from bridge.devstack.service import environment
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import APP_ID, TOKEN
from tests.support.commands import BRIDGE, run_bridge
from tests.support.ports import free_port
from tests.support.waiting import wait_until

APPS = orjson.dumps({APP_ID: [TOKEN]}).decode()


def test_what_it_counts_is_what_the_ingress_has_counted(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker)
    arguments = ("--rate", "200", "--seconds", "2", "--malformed", "0.2", "--burst", "50", "--burst-every", "0.5")
    found = run_bridge("load", *arguments, "--processes", "2", "--url", bridge.url, "--json", BRIDGE_APPS=APPS)
    result = orjson.loads(found.stdout)
    outcomes = result["outcomes"]
    assert found.returncode == (0 if result["as_expected"] else 1)
    assert sum(outcomes.values()) == result["due"] > 200
    refused = bridge.metric("bridge_refused_total", reason="bad_signature")
    broken = bridge.metric("bridge_dead_letters_total")
    kept = bridge.metric("bridge_accepted_total") + broken
    assert refused > 0
    assert broken > 0
    # On a machine that is busy with something else a reply may come when nobody waits for it any more.
    late = result["due"] - outcomes["refused as it had to be"] - outcomes["acknowledged"]
    assert 0 <= refused - outcomes["refused as it had to be"] <= late
    assert 0 <= kept - outcomes["acknowledged"] <= late
    assert 0 < result["reply_seconds"]["p50"] <= result["reply_seconds"]["most"]


def test_one_who_is_told_to_stop_tells_what_became_of_what_was_posted(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker)
    arguments = [str(BRIDGE), "load", "--rate", "100", "--seconds", "600", "--url", bridge.url, "--json"]
    load = subprocess.Popen(arguments, env=environment({"BRIDGE_APPS": APPS}), stdout=subprocess.PIPE)
    try:
        wait_until(lambda: bridge.metric("bridge_accepted_total") > 50, what="callbacks", timeout=60)
        os.kill(load.pid, signal.SIGINT)
        output, _ = load.communicate(timeout=60)
    finally:
        load.kill()
    result = orjson.loads(output)
    assert sum(result["outcomes"].values()) == result["due"] > 50
    assert result["seconds"] < 600


def test_where_nothing_listens_each_callback_says_so() -> None:
    found = run_bridge("load", "--seconds", "1", "--url", f"http://127.0.0.1:{free_port()}/", BRIDGE_APPS=APPS)
    assert found.returncode == 1
    assert "nothing listens there" in found.stderr
    assert "Traceback" not in found.stderr


def test_connections_that_break_are_told_by_their_causes_and_no_address_of_a_callback() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        threading.Thread(target=close_all, args=(server,), daemon=True).start()
        found = run_bridge("load", "--seconds", "1", "--rate", "30", "--url", url, BRIDGE_APPS=APPS)
        server.shutdown(socket.SHUT_RDWR)
    assert found.returncode == 1
    assert "times: the connection broke: " in found.stderr
    assert "CallbackCommand" not in found.stderr


def close_all(server: socket.socket) -> None:
    """Close each connection as soon as it is made, until nobody listens any more."""
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()
