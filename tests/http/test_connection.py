"""The short way of the usual callback, and that nobody can tell it from aiohttp's own."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from http import HTTPStatus

import orjson
import pytest
from aiohttp import web

from bridge.http.connection import Connection, Intake
from bridge.http.server import Acceptor, Handler, HttpServer, listen
from bridge.ingress import replies
from bridge.ingress.ingress import Ingress as Requests
from bridge.journal.journal import Journal
from bridge.journal.record import Record
from bridge.normalize.normalizer import Normalizer, Received
from bridge.settings import BridgeSettings
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import Callback, recalled, sample, signed_query
from tests.support.outlet import ToldOutlet
from tests.support.topic import wait_for_events

SLOW_MS = "100"
"""Gathered for so long, a request is on the short way while the test does something else."""
NOBODY = "127.0.0.1:1"


def wire(callback: Callback, query: str | None = None) -> bytes:
    """The bytes of a request."""
    length = len(callback.body)
    head = f"POST /{query or callback.signed()} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + callback.body


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


def test_requests_that_come_before_the_reply_are_answered_in_order_whatever_way_they_go(ingress: MakeIngress) -> None:
    bridge = ingress(NOBODY, BRIDGE_GATHER_MS=SLOW_MS)
    asked = sample("Sns.CallbackPrevFriendAdd")
    unsigned = signed_query("1400000000", None, "C2C.CallbackAfterMsgWithDraw")
    requests = [
        wire(recalled("ann", unread=1)),
        wire(asked),
        wire(recalled("ann", unread=2), unsigned),
        wire(recalled("ann", unread=3)),
        wire(Callback("State.StateChange", b"no JSON")),
        wire(recalled("ann", unread=4)),
    ]
    with bridge.connection() as connection:
        for request in requests:
            connection.sendall(request)
        found = read_replies(connection, len(requests))
    assert [status for status, _ in found] == [200, 200, 403, 200, 200, 200]
    assert ["ResultItem" in body for _, body in found] == [False, True, False, False, False, False]
    assert "dead letter" in str(found[4][1]["ErrorInfo"])


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
        connection.sendall(wire(Callback("State.StateChange", b"")))
        assert "dead letter" in str(read_replies(connection, 1)[0][1]["ErrorInfo"])


# -- Inside ------------------------------------------------------------------------------------------------------------


class Server:
    """The HTTP side in this process, serving."""

    def __init__(self, handle: Handler, intake: Intake) -> None:
        self.http = HttpServer(handle, intake, head_timeout=5, most_body=9999, access_log=None)
        listener = listen("127.0.0.1", 0)
        self._address = listener.getsockname()
        self.acceptor = Acceptor(listener, self.http, most=9)
        self.acceptor.start()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._address)


async def test_a_plain_post_reaches_neither_a_task_nor_a_request_object_of_aiohttp() -> None:
    """Nothing else would notice if a new version of aiohttp sent every callback the long way."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=HTTPStatus.IM_A_TEAPOT, text=request.method)

    bodies = []

    def take(connections: Sequence[Connection]) -> None:
        for connection in connections:
            bodies.append(connection.body)
            connection.reply(replies.accepted())

    callback = recalled("ann", unread=1)
    chunked = f"POST /{callback.signed()} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    server = Server(handle, Intake(take, 0.001))
    reader, writer = await server.connect()
    for request, expected in (
        (wire(callback), b"200"),
        (wire(callback).replace(b"POST", b"GET"), b"418"),
        (chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(callback.body), callback.body), b"200"),
        (wire(callback).replace(b"HTTP/1.1", b"HTTP/1.0"), b"418"),
    ):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == expected
        if expected == b"200":
            await reader.readuntil(b"}")
        else:
            await reader.readexactly(len(request.split()[0]))
    assert bodies == [callback.body] * 2
    writer.close()
    server.acceptor.stop()
    await server.http.shutdown(1)


async def test_a_request_that_is_declined_while_the_server_stops_is_answered_all_the_same() -> None:
    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=HTTPStatus.IM_A_TEAPOT)

    gathered = asyncio.Event()
    waiting: list[Connection] = []

    def take(connections: Sequence[Connection]) -> None:
        waiting.extend(connections)
        gathered.set()

    server = Server(handle, Intake(take, 0))
    reader, writer = await server.connect()
    writer.write(wire(recalled("ann", unread=1)))
    await gathered.wait()
    server.acceptor.stop()
    server.http.pre_shutdown()
    stopped = asyncio.ensure_future(server.http.shutdown(5))
    await asyncio.sleep(0)
    for connection in waiting:
        connection.decline()
    assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"418"
    assert await reader.read() == b""
    await stopped
    writer.close()


async def test_a_callback_that_cannot_be_handled_is_answered_500_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    normalize = Normalizer.event

    def fail_for_eve(self: Normalizer, received: Received) -> list[Record]:
        if b"eve" in received.body:
            raise RuntimeError("a bug")
        return normalize(self, received)

    class KafkaConfirms(Journal):
        def flush(self) -> None:
            for group in self._gathering.values():
                group.resolve(True)

    monkeypatch.setattr(Normalizer, "event", fail_for_eve)
    settings = BridgeSettings.model_validate({"apps": {"1400000000": ["token-a"]}})
    journal = KafkaConfirms.from_settings(settings, outlet=ToldOutlet())
    requests = Requests(settings, journal)
    server = Server(requests.handle, Intake(requests.take, 0.05))
    statuses = await asyncio.gather(*(_post(server, name) for name in ("ann", "eve", "bob")))
    assert statuses == [200, 500, 200]
    assert requests.in_flight == 0
    server.acceptor.stop()
    await server.http.shutdown(1)


async def _post(server: Server, account: str) -> int:
    reader, writer = await server.connect()
    writer.write(wire(recalled(account, unread=1)))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1])
