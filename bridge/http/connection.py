"""The short way of the usual callback: no request object, no task, no coroutine, and many at a time.

aiohttp gives each request all of these, which is most of what it costs. The usual callback needs none: it is a plain
POST that has arrived whole, and its reply is ready-made bytes, written when the journal says so. So it goes from the
parser of aiohttp straight to the ingress. Whatever is not quite so (a body in pieces, an old client, a request that is
refused, a before-callback) goes the way of aiohttp, as if this module did not exist.

What has arrived gathers for a few milliseconds, as the journal wants it anyway, and is then handled in one go: a step
that is done many times in a row finds its code in the caches of the processor, and takes half as long as one that takes
turns with parsing and system calls.

A connection is on one way at a time: what a client sends before it has its reply waits unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from bridge.http.response import ReadyMadeReply


class Intake:
    """Gathers connections whose request may go the short way.

    Args:
        take: called with some of them; it calls `reply` or `decline` of each once, now or later.
        gather: seconds.
    """

    def __init__(self, take: Callable[[Sequence[Connection]], None], gather: float) -> None:
        self._take = take
        self._gather = gather
        self._waiting: list[Connection] = []
        self._loop = asyncio.get_running_loop()

    def add(self, connection: Connection) -> None:
        """The connection has a request."""
        if not self._waiting:
            self._loop.call_later(self._gather, self._hand_over)
        self._waiting.append(connection)

    def _hand_over(self) -> None:
        connections, self._waiting = self._waiting, []
        self._take(connections)


class Connection(web.RequestHandler):
    """A connection of aiohttp's server.

    Args:
        intake: where requests go that may take the short way.
        settings: as aiohttp's class has them.
    """

    __slots__ = ("_early", "_intake", "_is_on_short_way", "_replied", "arrived")

    def __init__(self, intake: Intake, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._intake = intake
        self._is_on_short_way = False
        self._early = b""
        """What the client sent before it had its reply."""
        self._replied: asyncio.Event | None = None
        self.arrived = 0.0
        """When the request on the short way had arrived (`time.perf_counter`)."""

    @property
    def has_requested(self) -> bool:
        """Whether a request came, if only its head."""
        return bool(self._request_count)

    @property
    def request(self) -> tuple[RawRequestMessage, StreamReader]:
        """The request on the short way: its head, and the stream with its body."""
        message, payload = self._messages[0]
        assert isinstance(message, RawRequestMessage)
        return message, payload

    @property
    def body(self) -> bytes:
        """The body of that request. `read_nowait` gives the same, and resumes a reading that was never paused."""
        return b"".join(self._messages[0][1]._buffer)

    @property
    def remote(self) -> str | None:
        """Address of the peer."""
        return str(self.peername[0]) if isinstance(self.peername, tuple) else None

    def data_received(self, data: bytes) -> None:
        """Something has arrived."""
        if self._is_on_short_way:
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
        if len(messages) == 1 and not self._reading_paused and _is_plain_post(*messages[0]):
            self._is_on_short_way = True
            self.arrived = time.perf_counter()
            # From now on, not from the reply: to aiohttp the connection is idle, and must not be closed meanwhile.
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            self._intake.add(self)
        else:
            idle.set_result(None)

    def reply(self, reply: ReadyMadeReply) -> None:
        """End the short way with a reply."""
        self._messages.clear()
        if self._parser is not None:
            self._parser.message_consumed()
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(bytes(reply))
            if reply.closing or self._close:
                self.force_close()
        self._leave_the_short_way()

    def decline(self) -> None:
        """The request, of which nothing was read, goes the way of aiohttp."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._leave_the_short_way()

    def _leave_the_short_way(self) -> None:
        self._is_on_short_way = False
        if self._replied is not None:
            self._replied.set()
        if self._early:
            early, self._early = self._early, b""
            self._resume_reading_for_buffer()
            self.data_received(early)

    def close(self) -> None:
        """Take no further request, and end when the last one is answered."""
        if self._is_on_short_way:
            self._close = True  # Its task stays: the request may yet be declined.
        else:
            super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """End the connection when its request is answered, after `timeout` seconds at the latest."""
        if self._is_on_short_way:
            self._replied = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._replied.wait()
        await super().shutdown(timeout)


def _is_plain_post(message: object, payload: StreamReader) -> bool:
    return (
        isinstance(message, RawRequestMessage)
        and payload is not EMPTY_PAYLOAD
        and payload.is_eof()
        and message.method == "POST"
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.compression)
    )
