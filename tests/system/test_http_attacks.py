"""Attacks on the ports of a real process, from outside and without a valid signature unless it says so.

While they last, callbacks are posted and accepted.
"""

from __future__ import annotations

import gzip
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import MakeIngress
from tests.support.callbacks import RECALLED, PostedCallback, recalled, signed_query
from tests.support.commands import IngressProcess
from tests.support.http import answers, wire
from tests.support.topic import Topics

NOBODY = "127.0.0.1:1"
MEBIBYTE = 1024 * 1024
FORGED = signed_query("1400000000", "other", RECALLED)


def head(query: str, *fields: str) -> bytes:
    return "\r\n".join([f"POST /{query} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def accepts(bridge: IngressProcess, number: int = 5) -> bool:
    """Whether so many callbacks, each on a connection of its own, are accepted."""
    return [bridge.post(recalled("ann", unread=1)).status for _ in range(number)] == [200] * number


def received(connection: socket.socket) -> bytes:
    """All that comes until the end."""
    reply = b""
    while part := connection.recv(65536):
        reply += part
    return reply


def test_compressed_bombs_without_a_signature_cost_nothing(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY)
    bomb = gzip.compress(b" " * 200_000_000)
    request = head(FORGED, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb
    before = bridge.rss_bytes
    for _ in range(4):
        with ExitStack() as stack:
            attackers = [stack.enter_context(bridge.connection()) for _ in range(5)]
            for attacker in attackers:
                attacker.sendall(request)
            assert accepts(bridge)
            for attacker in attackers:
                assert received(attacker).startswith(b"HTTP/1.1 403")
    assert bridge.rss_bytes < before + 50 * MEBIBYTE


def test_heads_without_an_end_take_little_memory(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY, BRIDGE_HEAD_TIMEOUT_S="60")
    assert accepts(bridge)
    before = bridge.rss_bytes
    with ExitStack() as stack:
        for number in range(300):
            attacker = stack.enter_context(bridge.connection())
            first = wire(recalled("bob")) if number % 2 else b""
            attacker.sendall(first + b"POST / HTTP/1.1\r\nHost: x\r\n" + b"A: %b\r\n" % (b"a" * 1000) * 30)
        assert accepts(bridge)
        bridge.wait_for(lambda: bridge.metric("bridge_connections") >= 300, what="300 held connections")
        assert bridge.rss_bytes < before + 40 * MEBIBYTE


def test_authentic_bodies_without_an_end_take_little_memory(ingress: MakeIngress) -> None:
    bridge = ingress(
        NOBODY,
        BRIDGE_BODIES_MAX_BYTES=str(16 * MEBIBYTE),
        BRIDGE_BODY_TIMEOUT_S="60",
    )
    assert accepts(bridge)
    before = bridge.rss_bytes
    with ExitStack() as stack:
        for _ in range(100):
            attacker = stack.enter_context(bridge.connection())
            attacker.sendall(head(recalled("bob").signed(), f"Content-Length: {MEBIBYTE}") + b"x" * (MEBIBYTE - 1))
        assert accepts(bridge)
        large = PostedCallback(RECALLED, recalled("ann", unread=1).body + b" " * 500_000)
        assert bridge.post(large).status == 200
        assert bridge.metric("bridge_body_bytes") <= 8 * MEBIBYTE
        assert bridge.metric("bridge_refused_total", reason="bodies") >= 90
        assert bridge.rss_bytes < before + 60 * MEBIBYTE


def test_held_connections_keep_no_callback_out_though_few_files_may_be_open(tmp_path: Path, topics: Topics) -> None:
    bridge = IngressProcess(tmp_path, NOBODY, topics, BRIDGE_HEAD_TIMEOUT_S="60")
    bridge.command = ["sh", "-c", 'ulimit -n 256; exec "$0" "$@"', *bridge.command]
    with bridge, ExitStack() as stack:
        bridge.wait_ready()
        bridge.wait_for_log("BRIDGE_MAX_CONNECTIONS is 10000, but the limit of open files is 256")
        for number in range(400):
            attacker = stack.enter_context(bridge.connection())
            attacker.sendall(b"POST / HTTP/1.1\r\n" if number % 2 else b"\r\n")
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", bridge.admin_port), 10))
        assert accepts(bridge)
        assert answers(f"{bridge.admin_url}/readyz")
        assert bridge.metric("bridge_connections") <= 96
        assert bridge.metric("bridge_connections_displaced_total", kind="unproven") >= 300
        assert bridge.output().count("gives way to a new one") < 10
        assert "cannot accept" not in bridge.output()


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_what_another_protocol_sends_is_told_in_the_log(host: str, ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY, BRIDGE_HOST=host)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 500
    for _ in range(20):
        with bridge.connection() as client:
            client.sendall(hello)
            assert received(client).startswith(b"HTTP/1.1 400")
    bridge.wait_for_log("TLS handshake.*end TLS at a proxy")
    assert bridge.output().count("TLS") < 10
    assert "\x07" not in bridge.output()
