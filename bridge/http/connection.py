"""The fast path: aiohttp parses a request, and nothing of its server runs.

For a request that is there as a whole, the server of aiohttp would wake the connection's task, make a request and a
writer, and start a task for the handler; that is a third of what a callback costs. Such a request goes from the parser
of aiohttp straight to the ingress. Whatever has arrived otherwise (a body in pieces, an old client, another method)
goes aiohttp's way, as if this module did not exist: see `slow_path`.

What has arrived gathers for a few milliseconds, as the journal wants it anyway, and is then handled in one go: a step
that is done many times in a row finds its code in the caches of the processor, and takes half as long as one that takes
turns with parsing and system calls.

A connection is on one path at a time: what a client sends before it has its reply waits unread.

This is the only module that uses private names of aiohttp, and is made for aiohttp 3.14 (see pyproject.toml); what
`server` and `response` override is public. Of `RequestHandler` it uses the queue of parsed messages and the future by
which its task waits for one, the count of requests, the parser and its count of messages under way, the event loop, the
marks `_close`, `_paused` and `_reading_paused`, the pausing of reading, and the keep-alive timer; of a body, the parts
in its stream. `tests/http/test_connection.py` fails when a version sends callbacks the slow way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar, TypeGuard

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from bridge.http.headers import TRACEPARENT_HEADER, forwarded_for
from bridge.http.response import render
from bridge.ingress.replies import PlatformReply

log = logging.getLogger(__name__)


class FastPath:
    """Gathers connections whose request has arrived whole.

    Args:
        accept: answers the request of one, now or later; never raises.
        flush: called when all that had gathered are accepted.
        gather_s: how long they gather.
    """

    def __init__(self, accept: Callable[[HttpConnection], None], flush: Callable[[], None], *, gather_s: float) -> None:
        self._accept = accept
        self._flush = flush
        self._gather_s = gather_s
        self._gathered: list[HttpConnection] = []
        self._loop = asyncio.get_running_loop()
        self.asks_to_close = False
        """Whether each reply asks the client to close its connection."""

    def add(self, connection: HttpConnection) -> None:
        """The connection has a request."""
        if not self._gathered:
            self._loop.call_later(self._gather_s, self._hand_over)
        self._gathered.append(connection)

    def _hand_over(self) -> None:
        connections, self._gathered = self._gathered, []
        try:
            for connection in connections:
                try:
                    self._accept(connection)
                except Exception:  # Trouble with one must not leave the others without a reply.
                    log.exception("a request could not be answered")
                    connection.force_close()
        finally:
            self._flush()


class HttpConnection(web.RequestHandler):
    """A connection of aiohttp's server. While a request is on the fast path, it is the `CallbackRequest`.

    Args:
        fast_path: where requests go that have arrived whole.
        arguments: of `aiohttp.web.RequestHandler`, as they are there.
        settings: the named ones of `aiohttp.web.RequestHandler`.
    """

    __slots__ = ("_early", "_fast_path", "_is_on_fast_path", "_message", "_payload", "_replied", "arrived", "peer")

    method: ClassVar[str] = "POST"
    """The HTTP method of each request on the fast path: a request with another takes the slow path."""

    def __init__(self, fast_path: FastPath, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._fast_path = fast_path
        self._is_on_fast_path = False
        self._message: RawRequestMessage
        self._payload: StreamReader
        self._early = b""
        """What the client sent before it had its reply."""
        self._replied: asyncio.Event | None = None
        self.peer: str | None = None
        """Address of whoever is connected, or was when the request came."""
        self.arrived = 0.0
        """When the request on the fast path had arrived (`time.perf_counter`)."""

    @property
    def has_requested(self) -> bool:
        """Whether a request came, if only its head."""
        return bool(self._request_count)

    # -- The request on the fast path ----------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Path and query as they came."""
        return self._message.path

    @property
    def forwarded_for(self) -> str:
        """Values of all headers `X-Forwarded-For`, joined with commas."""
        return forwarded_for(self._message.headers)

    @property
    def traceparent(self) -> str:
        """The header `traceparent`, empty if there is none."""
        return self._message.headers.get(TRACEPARENT_HEADER, "")

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self._payload.total_bytes

    @property
    def body(self) -> bytes:
        """The whole body."""
        # `StreamReader.read_nowait` gives the same, and resumes a reading that was never paused.
        return b"".join(self._payload._buffer)

    def respond(self, reply: PlatformReply) -> None:
        """Answer the request, and leave the fast path."""
        self._messages.clear()
        del self._message, self._payload
        if self._parser is not None:
            self._parser.message_consumed()
        transport = self.transport
        if transport is not None and not transport.is_closing():
            closing = self._fast_path.asks_to_close or self._close or reply.closes
            transport.write(render(reply, closing))
            if closing:
                self.force_close()
        self._is_on_fast_path = False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._replied is not None:
            self._replied.set()
        if self._early:
            early, self._early = self._early, b""
            self._resume_reading_for_buffer()
            self.data_received(early)

    # -- What aiohttp and its event loop call --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        super().connection_made(transport)
        self.peer = str(self.peername[0]) if isinstance(self.peername, tuple) else None

    def data_received(self, data: bytes) -> None:
        """Something has arrived."""
        if self._is_on_fast_path:
            self._early += data
            self._pause_reading_for_buffer()
            return
        idle = self._waiter
        if idle is None or idle.done() or self._paused:
            super().data_received(data)
            return
        self._waiter = None  # aiohttp parses, and has no task to wake.
        super().data_received(data)
        self._waiter = idle
        messages = self._messages
        if not messages:
            return
        message, payload = messages[0]
        if len(messages) == 1 and not self._reading_paused and _is_plain_post(message, payload):
            self._is_on_fast_path = True
            self._message = message
            self._payload = payload
            self.arrived = time.perf_counter()
            self._fast_path.add(self)
        else:
            idle.set_result(None)

    def _process_keepalive(self) -> None:
        """The time of the keep-alive timer has come."""
        if self._is_on_fast_path:  # To aiohttp the connection is idle.
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """End the connection when its request is answered, after `timeout` seconds at the latest."""
        if self._is_on_fast_path:
            self._replied = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._replied.wait()
        await super().shutdown(timeout)


def _is_plain_post(message: object, payload: StreamReader) -> TypeGuard[RawRequestMessage]:
    return (
        isinstance(message, RawRequestMessage)
        and payload is not EMPTY_PAYLOAD
        and payload.is_eof()
        and message.method == "POST"
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.compression)
    )
