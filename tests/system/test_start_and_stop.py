"""Promises 6, 7 and 8 at both ends of a process's life."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial

import orjson

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess
from tests.support.http import request
from tests.support.ports import free_port
from tests.support.reloading import is_back
from tests.support.topic import wait_for_events

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


def test_it_starts_with_kafka_away_and_publishes_when_it_comes(ingress: MakeIngress, own_broker: Broker) -> None:
    own_broker.stop()
    bridge = ingress(own_broker)
    assert bridge.post(recalled("u", unread=1)).json == OK
    ready = request("GET", bridge.admin_url + "/readyz")
    assert ready.status == 200
    assert ready.json["kafka"] == "away"
    assert bridge.metrics()["bridge_degraded"] == 1
    own_broker.start()
    found = wait_for_events(own_broker.bootstrap, bridge.topics.events, len)
    assert found[0].event["subject"] == "u"


def test_what_is_held_is_told_as_of_now(ingress: MakeIngress, own_broker: Broker) -> None:
    own_broker.stop()
    bridge = ingress(own_broker)
    before = held_bytes(bridge)
    for number in range(5):
        assert bridge.post(recalled("u", unread=number)).json == OK
        now = held_bytes(bridge)
        assert now > before
        before = now


def held_bytes(bridge: IngressProcess) -> float:
    """What is not in Kafka yet, on disk and in memory."""
    metrics = bridge.metrics()
    return metrics["bridge_journal_bytes"] + metrics["bridge_memory_bytes"]


def one_byte_short(bridge: IngressProcess) -> tuple[socket.socket, bytes]:
    """A connection on which all but the last byte of a callback was sent, and that byte."""
    callback = recalled("u", unread=1)
    head = f"POST /{callback.signed()} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(callback.body)}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", bridge.port))
    connection.sendall(head.encode() + callback.body[:-1])
    return connection, callback.body[-1:]


def refuses_connections(bridge: IngressProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", bridge.port), 1).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # It was closed just then.
        return False
    return False


def test_sigterm_with_a_request_one_byte_short_of_complete_still_answers_it(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    connection, last = one_byte_short(bridge)
    with connection:
        bridge.wait_for(lambda: bridge.metrics()["bridge_in_flight"] == 1, what="the request to be read")
        own_broker.freeze()
        bridge.signal_group(signal.SIGTERM)
        bridge.wait_for(lambda: refuses_connections(bridge), what="the port to be closed")
        connection.sendall(last)
        reply = connection.recv(4096)
    assert reply.startswith(b"HTTP/1.1 200")
    assert orjson.loads(reply.partition(b"\r\n\r\n")[2]) == OK
    assert b"connection: close" in reply.lower()
    assert bridge.wait(10) == 0
    own_broker.thaw()
    bridge.start_ready()
    assert wait_for_events(own_broker.bootstrap, bridge.topics.events, len)


def test_who_connects_between_the_stop_of_a_process_and_that_of_its_parent_is_answered(ingress: MakeIngress) -> None:
    bridge = ingress("127.0.0.1:1")
    os.kill(bridge.pid, signal.SIGSTOP)
    bridge.signal_group(signal.SIGTERM)
    try:
        assert bridge.post(recalled("u", unread=1)).json == OK
    finally:
        os.kill(bridge.pid, signal.SIGCONT)
    assert bridge.wait(10) == 0


def test_a_process_that_alone_is_told_to_stop_does_so(ingress: MakeIngress) -> None:
    bridge = ingress("127.0.0.1:1")
    told = bridge.server_pid
    os.kill(told, signal.SIGTERM)
    bridge.wait_for(partial(is_back, bridge, told), what="another process")
    assert bridge.post(recalled("u", unread=1)).json == OK
    assert "killed" not in bridge.output()


def test_sigterm_ends_it_with_kafka_away_and_a_backlog(ingress: MakeIngress) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}")
    for number in range(50):
        assert bridge.post(recalled(f"u{number}", unread=1)).json == OK
    assert bridge.terminate(10) == 0
    assert list(bridge.journal_dir.glob("*.journal"))


def test_without_apps_it_says_how_to_name_them(ingress: MakeIngress) -> None:
    bridge = ingress("127.0.0.1:1", ready=False, BRIDGE_APPS="{}")
    assert bridge.wait(10) == 2
    assert "BRIDGE_APPS" in bridge.output()
    assert '{"1400000000":["token-a"]}' in bridge.output()


def test_a_taken_port_is_named(ingress: MakeIngress) -> None:
    first = ingress("127.0.0.1:1")
    second = ingress("127.0.0.1:1", ready=False, BRIDGE_PORT=str(first.port))
    assert second.wait(10) == 1
    assert str(first.port) in second.output()
    assert "Traceback" not in second.output()
