"""Load that comes in rounds: a callback on each connection at once, and the next ones when all are answered.

The server is stopped while they are sent, so all of them are there when it looks: it does the same, whatever else the
machine does.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.callbacks import APP_ID, recalled
from tests.support.http import wire
from tests.support.process import Process

REPLY_S = 300.0
ACCOUNTS = 2_000

_numbers = itertools.count()


class LockstepError(Exception):
    """A reply was not the right one."""


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections to a server on this machine."""
    opened = [socket.create_connection(("127.0.0.1", port), REPLY_S) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


def send_round(server: Process, opened: list[socket.socket]) -> None:
    """Send a recall on each connection, and wait for the replies. Raises LockstepError, TimeoutError."""
    requests = [_request() for _ in opened]
    server.freeze()
    for connection, request in zip(opened, requests, strict=True):
        connection.sendall(request)
    server.thaw()
    for connection in opened:
        _read_reply(connection)


def ask_round(opened: Sequence[socket.socket]) -> None:
    """The same without stopping the server, whose time is measured. Raises LockstepError, TimeoutError."""
    for connection in opened:
        connection.sendall(_request())
    for connection in opened:
        _read_reply(connection)


def _request() -> bytes:
    number = next(_numbers)
    one = recalled(f"user-{number % ACCOUNTS:04}", unread=10 + number % 90, event_time=int(time.time() * 1000))
    address = f"198.51.{100 + number // 100 % 100}.{100 + number % 100}"
    return wire(one, one.signed(app_id=APP_ID, ClientIP=address))


def _read_reply(connection: socket.socket) -> None:
    received = b""
    while True:
        part = connection.recv(65_536)
        received += part
        head, found, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            break
        if not part:
            raise LockstepError("a connection ended without a reply")
    if not received.startswith(b"HTTP/1.1 200"):
        raise LockstepError(f"a callback was answered {received[:200]!r}")
