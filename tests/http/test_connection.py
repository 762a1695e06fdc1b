"""A connection, from its first byte to its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack

import orjson

from bridge.http.connection import HttpConnection
from bridge.http.server import HttpServer
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback, recalled, sample
from tests.support.http import serving, until, wire
from tests.support.ingress_parts import FakeJournal, ingress_with
from tests.support.topic import wait_for_events

SLOW_MS = "100"
"""Gathered for so long, a request has no reply yet while the test does something else."""
NOBODY = "127.0.0.1:1"


def read_replies(connection: socket.socket, number: int) -> list[tuple[int, dict[str, object]]]:
    """Status and body of so many replies."""
    found = []
    with connection.makefile("rb") as stream:
        for _ in range(number):
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline().lower()) != b"\r\n":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            found.append((status, orjson.loads(stream.read(length))))
    return found


def test_requests_that_come_before_the_reply_are_answered_in_order(
    ingress: MakeIngress,
) -> None:
    bridge = ingress(NOBODY, BRIDGE_GATHER_MS=SLOW_MS)
    asked = sample("Sns.CallbackPrevFriendAdd")
    requests = [
        wire(recalled("ann", unread=1)),
        wire(asked),
        wire(recalled("ann", unread=3)),
        wire(PostedCallback("State.StateChange", b"no JSON")),
        wire(recalled("ann", unread=4)),
    ]
    with bridge.connection() as connection:
        for request in requests:
            connection.sendall(request)
        found = read_replies(connection, len(requests))
    assert [status for status, _ in found] == [200] * 5
    assert ["ResultItem" in body for _, body in found] == [False, True, False, False, False]
    assert "dead letter" in str(found[3][1]["ErrorInfo"])


def test_a_client_that_leaves_before_its_reply_loses_no_callback(ingress: MakeIngress, broker: Broker) -> None:
    bridge = ingress(broker, BRIDGE_GATHER_MS=SLOW_MS)
    with bridge.connection() as connection:
        connection.sendall(wire(recalled("ann", unread=1)) + wire(recalled("ann", unread=2)))
    with bridge.connection() as connection:
        connection.sendall(wire(recalled("bob", unread=1)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # It resets the connection.
    keys = {
        event.key
        for event in wait_for_events(
            broker.bootstrap, bridge.topics.events, lambda seen: {one.key for one in seen} >= {b"ann", b"bob"}
        )
    }
    assert keys == {b"ann", b"bob"}
    bridge.wait_for(lambda: bridge.metric("bridge_in_flight") == 0, what="no request in flight")


def test_sigterm_answers_what_is_gathered_and_says_that_it_closes(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY, BRIDGE_GATHER_MS=SLOW_MS)
    with bridge.connection() as connection:
        connection.sendall(wire(recalled("ann", unread=1)))
        assert read_replies(connection, 1) == [(200, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})]
        connection.sendall(wire(recalled("ann", unread=2)))
        bridge.signal_group(signal.SIGTERM)
        reply = b""
        while part := connection.recv(4096):
            reply += part
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"\r\nConnection: close\r\n" in reply
    assert bridge.wait(10) == 0


def test_an_idle_connection_is_closed_after_the_keep_alive_time(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY, BRIDGE_KEEPALIVE_S="1")
    with bridge.connection() as connection:
        for number in range(3):
            connection.sendall(wire(recalled("ann", unread=number)))
            assert read_replies(connection, 1)[0][0] == 200
        assert connection.recv(100) == b""


def test_only_addresses_of_the_allow_list_may_post_seen_through_our_own_proxies(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY, BRIDGE_ALLOWED_NETWORKS='["10.0.0.0/8"]', BRIDGE_TRUSTED_PROXIES='["127.0.0.0/8"]')
    request = wire(recalled("ann", unread=1))
    in_two_lines = "10.1.2.3\r\nX-Forwarded-For: 192.0.2.1"
    for forwarded, expected in (
        ("10.1.2.3", 200),
        ("192.0.2.1", 403),
        ("10.1.2.3, 192.0.2.1", 403),
        (in_two_lines, 403),
        ("", 403),
    ):
        with bridge.connection() as connection:
            connection.sendall(request.replace(b"Host: x", f"Host: x\r\nX-Forwarded-For: {forwarded}".encode()))
            assert read_replies(connection, 1)[0][0] == expected


def test_an_empty_body_is_a_dead_letter(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY)
    with bridge.connection() as connection:
        connection.sendall(wire(PostedCallback("State.StateChange", b"")))
        assert "dead letter" in str(read_replies(connection, 1)[0][1]["ErrorInfo"])


# -- Inside ------------------------------------------------------------------------------------------------------------


async def test_a_request_that_waits_for_its_reply_while_the_server_stops_is_answered() -> None:
    journal = FakeJournal()
    async with serving(ingress_with(journal)) as server, server.connect() as client:
        client.send(wire(recalled("ann", unread=1)))
        await until(lambda: bool(journal.records))
        server.stop_accepting()
        stopped = asyncio.ensure_future(server.http.drain(5))
        await asyncio.sleep(0)
        journal.resolve(True)
        reply = await client.reply()
        assert reply.startswith(b"HTTP/1.1 200")
        assert b"\r\nConnection: close\r\n" in reply
        assert await client.ends()
        await stopped


async def test_a_connection_that_waits_for_its_reply_is_not_idle() -> None:
    journal = FakeJournal()
    async with (
        serving(ingress_with(journal), keepalive_s=0.01, head_timeout_s=2) as server,
        server.connect() as client,
    ):
        client.send(wire(recalled("ann", unread=1)))
        await until(lambda: bool(journal.records))
        async with server.connect() as idle:
            assert await idle.ends(), "the time of an idle one is over"
        journal.resolve(True)
        assert (await client.reply()).startswith(b"HTTP/1.1 200")
        assert await client.ends()


async def test_callbacks_that_arrive_together_are_flushed_as_one_lot() -> None:
    journal = FakeJournal()
    lots: list[int] = []

    def flush() -> None:
        lots.append(len(journal.records))
        journal.resolve(True)

    async with serving(ingress_with(journal), flush, gather_s=0.1) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(server.connect()) for _ in range(5)]
        for client in clients:
            client.send(wire(recalled("ann", unread=1)))
        for client in clients:
            assert (await client.reply()).startswith(b"HTTP/1.1 200")
    assert lots[-1] == 5
    assert len(lots) < 5


class UnreadTransport(asyncio.Transport):
    """The side of a client that reads nothing: what is written stays here until it is thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False
        self._closes = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self._closes

    def close(self) -> None:
        self._closes = True

    def abort(self) -> None:
        self._closes = self.is_aborted = True

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        assert not self._closes, "nothing can be read any more"


async def answered(server: HttpServer, journal: FakeJournal) -> tuple[HttpConnection, UnreadTransport]:
    """A connection whose client has not read the reply to its request."""
    connection, transport = server.connection(), UnreadTransport()
    connection.connection_made(transport)
    connection.data_received(wire(recalled("ann", unread=1)))
    await until(lambda: bool(journal.records))
    connection.pause_writing()
    journal.resolve(True)
    assert transport.written.startswith(b"HTTP/1.1 200")
    return connection, transport


async def test_a_client_that_sends_nothing_more_gets_the_replies_that_it_has_not_read() -> None:
    journal = FakeJournal()
    async with serving(ingress_with(journal)) as server:
        connection, transport = await answered(server.http, journal)
        assert not connection.eof_received()
        assert transport.is_closing()
        assert not transport.is_aborted
        connection.connection_lost(None)


async def test_a_stop_throws_no_reply_away_that_a_client_has_not_read() -> None:
    journal = FakeJournal()
    async with serving(ingress_with(journal)) as server:
        connection, transport = await answered(server.http, journal)
        connection.data_received(wire(recalled("ann", unread=2)))
        stopping = asyncio.ensure_future(server.http.drain(0.5))
        await until(transport.is_closing)
        assert not transport.is_aborted
        connection.resume_writing()
        assert len(journal.records) == 1
        connection.connection_lost(None)
        await stopping
