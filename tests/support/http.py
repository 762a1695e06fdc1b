"""HTTP for asserting on replies: one plain request at a time (`load` is for many), or our server in this process."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import orjson

from bridge.http.acceptor import Acceptor
from bridge.http.server import HttpServer, listen
from bridge.ingress.ingress import Ingress
from tests.support.callbacks import PostedCallback


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status, headers (names in lower case) and body of a reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body; raises orjson.JSONDecodeError."""
        return orjson.loads(self.body)


def request(
    method: str, url: str, body: bytes | None = None, *, headers: dict[str, str] | None = None, timeout: float = 30
) -> HttpReply:
    """Send one request over a connection of its own. Raises OSError or HTTPException when there is no reply."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, f"{parts.path or '/'}?{parts.query}".removesuffix("?"), body, headers or {})
        reply = connection.getresponse()
        return HttpReply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET of `url` is answered with `status` right now."""
    try:
        return request("GET", url, timeout=1).status == status
    except (OSError, HTTPException):
        return False


def wire(callback: PostedCallback, query: str | None = None, *headers: str) -> bytes:
    """The bytes of a request."""
    fields = "".join(f"{header}\r\n" for header in ("Host: x", f"Content-Length: {len(callback.body)}", *headers))
    return f"POST /{query or callback.signed()} HTTP/1.1\r\n{fields}\r\n".encode() + callback.body


class Client:
    """A connection to a server in this process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)

    async def reply(self) -> bytes:
        """The next reply, head and body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return head + await self._reader.readexactly(int(length or 0))

    async def ask(self, data: bytes) -> bytes:
        """Send these bytes; the reply to them."""
        self.send(data)
        return await self.reply()

    async def ends(self) -> bool:
        """Whether nothing comes but the end."""
        return await self.rest() == b""

    async def rest(self) -> bytes:
        """All that comes until the end."""
        return await self._reader.read()

    async def some(self) -> bytes:
        """What comes next, as much as there is."""
        return await self._reader.read(65536)

    async def send_until_reset(self, data: bytes) -> None:
        """Send these bytes again and again. Raises ConnectionError when nobody takes them any more."""
        async with asyncio.timeout(10):
            while True:
                self._writer.write(data)
                await self._writer.drain()

    def stop_reading(self) -> None:
        """Leave replies unread from now on, but for what has come already."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def vanish(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    def end(self) -> None:
        """Say that nothing more is sent. Replies may still come."""
        self._writer.write_eof()


LIMITS = {
    "gather_s": 0.001,
    "head_timeout_s": 5,
    "body_timeout_s": 5,
    "max_body_bytes": 100_000,
    "bodies_max_bytes": 10_000_000,
    "keepalive_s": 60,
    "max_connections": 9,
}


class LocalServer:
    """The HTTP side of an ingress in this process, serving. `limits` replaces some of LIMITS."""

    def __init__(self, ingress: Ingress, flush: Callable[[], None], **limits: Any) -> None:
        self.http = HttpServer(ingress, flush, **{**LIMITS, **limits})
        listener = listen("127.0.0.1", 0)
        self._address = listener.getsockname()
        self._acceptor: Acceptor | None = Acceptor(listener, self.http)
        self._acceptor.start()

    def stop_accepting(self) -> None:
        """Accept no further connection. May be called more than once."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.stop()

    @asynccontextmanager
    async def connect(self, **tls: Any) -> AsyncIterator[Client]:
        """A connection to it; `tls` is what `asyncio.open_connection` takes for that."""
        reader, writer = await asyncio.open_connection(*self._address, **tls)
        yield Client(reader, writer)
        writer.close()


@asynccontextmanager
async def serving(
    ingress: Ingress, flush: Callable[[], None] = lambda: None, **limits: Any
) -> AsyncIterator[LocalServer]:
    """Serve an ingress on a port of its own. `limits` replaces some of LIMITS."""
    server = LocalServer(ingress, flush, **limits)
    yield server
    server.stop_accepting()
    await until(lambda: not len(server.http.table))
    assert server.http.body_bytes == 0
    await ingress.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop go on until it is so. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - not everything has an event
            await asyncio.sleep(0.005)
