"""A connection, and the request on it: read, handed to the ingress, answered.

A connection goes through phases. It reads a head, then a body, waits for the reply, and begins anew; or it ends, after
a refusal always: nothing that comes behind a refused request is read. It has one request at a time; what a client
sends before it has its reply waits.

A request that has arrived in one piece, as nearly all do, goes to the ingress as it is. Of any other the ingress sees
the head first: not a byte of a body is kept, nor anything unpacked, for somebody who is not authentic.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import cast

from aiohttp import hdrs

from bridge.http.body import ChunkedBody, SizedBody
from bridge.http.context import HttpContext
from bridge.http.head import HeadReader
from bridge.http.phase import BODY, CLOSED, ENDING, HEAD, REPLY
from bridge.http.plain import ONE_PIECE_BYTES, read_plain
from bridge.http.request import HttpRequest
from bridge.http.response import render
from bridge.ingress import refusals, replies
from bridge.ingress.ingress import UNHANDLED
from bridge.ingress.refusals import Refusal, RefusedError
from bridge.ingress.replies import PlatformReply

log = logging.getLogger(__name__)

LINGER_S = 2.0
"""How long a client may take to read the last reply and to close, before we do."""
LINGER_BYTES = 1024 * 1024
"""How much of what a client still sends behind its last reply is thrown away. If we closed before it is sent, the
client's side would throw the reply away."""
NEVER = float("inf")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpConnection(HttpRequest, asyncio.Protocol):
    """A connection. While it has a request, it is the `CallbackRequest`.

    The fields are in one object because one more for each request would cost too much.

    Args:
        context: what all connections have in common.
        loop: the event loop.
    """

    __slots__ = (
        "_context",
        "_discarded",
        "_early",
        "_head_reader",
        "_incoming",
        "_is_congested",
        "_is_cut_off",
        "_is_half_closed",
        "_is_proven",
        "_loop",
        "_transport",
        "arrived_bytes",
        "deadline",
        "phase",
    )

    def __init__(self, context: HttpContext, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(context.bodies, max_body_bytes=context.max_body_bytes)
        self._context = context
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._head_reader = HeadReader()
        self._incoming: SizedBody | ChunkedBody | None = None
        """The body while it arrives."""
        self._early = b""
        """What the client sent before it had its reply."""
        self._discarded = 0
        """Bytes that came behind the last reply."""
        self._is_proven = False
        self._is_congested = False
        """Whether the client does not read its replies."""
        self._is_cut_off = False
        """Whether what the client sent before it had its reply had no room: that reply is its last."""
        self._is_half_closed = False
        """Whether the client has said that it sends nothing more. It may wait for replies."""
        self.phase = HEAD
        self.deadline = NEVER
        """When the phase has to be over, by the clock of the event loop."""
        self.arrived_bytes = 0
        """What the head or the body takes of the memory for those, while it arrives."""

    @property
    def may_give_way(self) -> bool:
        """Whether no reply is due on it."""
        return self.phase is not REPLY

    @property
    def idle_since(self) -> float:
        """Since when it has no request, by the clock of the event loop; infinite while it has one, or begins one."""
        if self.phase is not HEAD or self._head_reader.is_begun or self._is_congested:
            return NEVER
        return self.deadline - self._context.keepalive_s

    def respond(self, reply: PlatformReply) -> None:
        """Answer the request; then comes the next one, or the end."""
        fields = self.fields
        is_whole = self.content is not None
        self.forget()
        if self._incoming is not None:
            self._drop_body()
        transport = self._transport
        if transport is None or transport.is_closing():
            self.phase = CLOSED
            return
        context = self._context
        closing = (
            reply.closes
            or context.asks_to_close
            or fields.closes
            or not is_whole
            or self._is_cut_off
            or (self._is_half_closed and not self._early)
        )
        now = self._loop.time()
        content = render(reply, closing, now)
        if closing:
            if fields.method == hdrs.METH_HEAD:
                content = content[: len(content) - len(reply.content)]
            transport.write(content)
            self._end(transport)
            return
        transport.write(content)
        self.phase = HEAD
        self.deadline = now + (context.head_timeout_s if self._is_congested else context.keepalive_s)
        if not self._is_proven:
            self._is_proven = True
            context.table.prove(self)
        if self._early and not self._is_congested:
            self._go_on()

    # -- What the event loop calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else None
        self.deadline = self._loop.time() + self._context.head_timeout_s
        self._context.table.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone. A request that was whole is handled all the same."""
        self._transport = None
        self._context.table.remove(self)
        self._context.heads.ended(self)
        self._drop_early()
        if self.phase is BODY:
            self._context.ingress.forget()
            self.forget()
            self._drop_body()
        if self.phase is not REPLY:
            self.phase = CLOSED

    def data_received(self, data: bytes) -> None:
        """Something has arrived."""
        phase = self.phase
        if phase is HEAD and not self._is_congested:
            if self._head_reader.size or (plain := read_plain(data)) is None:
                self._read_head(data)
                return
            self.query, self.fields, self.content = plain
            self.arrived = time.perf_counter()
            self.phase = REPLY
            self.deadline = NEVER
            self._context.gathering.add(self, len(self.content))
        elif phase is BODY:
            self._read_body(data, 0)
        elif phase is ENDING:
            self._discard(data)
        elif phase is not CLOSED:
            self._keep_early(data)

    def eof_received(self) -> bool:
        """The client sends nothing more. Returns whether the connection stays open, for a reply."""
        self._is_half_closed = True
        if self.phase in {HEAD, BODY} and not self._early:
            self._break_off()
        return self.phase is REPLY or bool(self._early)

    def pause_writing(self) -> None:
        """The client does not read its replies: nothing is read of it until it does."""
        self._is_congested = True

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_congested = False
        if self.phase is HEAD:
            self.deadline = self._loop.time() + self._context.keepalive_s
            self._go_on()

    # -- Reading -------------------------------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        reader = self._head_reader
        was_begun = reader.is_begun
        try:
            head, at = reader.read(data)
        except RefusedError as refused:
            self._answer_no_request(refused.refusal)
            return
        if head is None:
            if self._is_half_closed:
                self._break_off()
                return
            if self._is_proven and reader.is_begun and not was_begun:
                self.deadline = self._loop.time() + self._context.head_timeout_s
            if not self._context.heads.grow_to(self, reader.size):
                self.give_up()
            return
        self._context.heads.ended(self)
        self.query, self.fields, self.declared_size = head
        self.arrived = time.perf_counter()
        size = head.size or 0
        end = at + size
        if size > ONE_PIECE_BYTES or end > len(data) or head.fields.is_chunked:
            self._begin_body(data, at, size)
        else:
            self.content = data[at:end]
            self._complete(data[end:])

    def _begin_body(self, data: bytes, at: int, size: int) -> None:
        """A request is not there in one piece: its head is looked at first."""
        context = self._context
        fields = self.fields
        self.phase = BODY
        try:
            self.verdict = context.ingress.admit(self)
            if fields.refusal is not None:
                raise RefusedError(fields.refusal)
            most = context.max_body_bytes
            self._incoming = ChunkedBody(max_bytes=most) if fields.is_chunked else SizedBody(size, max_bytes=most)
        except RefusedError as refused:
            context.ingress.refuse(self, refused.refusal, self.verdict)
            return
        except Exception:
            log.exception(UNHANDLED)
            context.ingress.fail(self, self.verdict)
            return
        self._bodies.begin(self)
        self.deadline = self._loop.time() + context.body_timeout_s
        if fields.expects_continue and at == len(data) and self._transport is not None:
            self._transport.write(CONTINUE)
        self._read_body(data, at)

    def _read_body(self, data: bytes, at: int) -> None:
        incoming = self._incoming
        assert incoming is not None
        before = len(incoming.content)
        try:
            at = incoming.read(data, at)
            if not self._bodies.grow(self, len(incoming.content) - before):
                raise RefusedError(refusals.NO_ROOM_FOR_BODY)
        except RefusedError as refused:
            self._context.ingress.refuse(self, refused.refusal, self.verdict)
            return
        if incoming.is_whole:
            self.content = bytes(incoming.content)
            self._incoming = None
            self._bodies.ended(self)
            self._complete(data[at:])
        elif self._is_half_closed:
            self._break_off()

    def _drop_body(self) -> None:
        """What has arrived of the body is not needed: the rest of it will not be read."""
        self._bodies.ended(self)
        self._incoming = None

    def _complete(self, behind: bytes) -> None:
        """The request is whole, and this came behind it."""
        self.phase = REPLY
        self.deadline = NEVER
        if behind:
            self._keep_early(behind)
        self._context.gathering.add(self, len(self.content or b""))

    def _keep_early(self, data: bytes) -> None:
        """The client goes on before it has its reply: what it sends waits, and no more is read until then."""
        if self._bodies.take(len(data)):
            self._early += data
        else:
            self._drop_early()
            self._is_cut_off = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _go_on(self) -> None:
        early = self._early
        self._drop_early()
        if self._transport is None or self._transport.is_closing():
            return
        if not self._is_half_closed:
            self._transport.resume_reading()
        if early:
            self.data_received(early)

    def _drop_early(self) -> None:
        self._bodies.release(len(self._early))
        self._early = b""

    # -- Ending --------------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The time of a phase is over."""
        if self.phase is BODY:
            self._context.ingress.refuse(self, refusals.SLOW_BODY, self.verdict)
        elif self.phase is HEAD and self._head_reader.is_begun and not self._is_congested:
            self._answer_no_request(refusals.SLOW_HEAD)
        else:
            self.abort()

    def give_up(self) -> None:
        """Others need the memory that the head or the body takes."""
        if self.phase is HEAD:
            self._answer_no_request(refusals.MANY_HEADS)
            self._context.heads.ended(self)  # It may be closing already, and is not told then.
        else:
            self._context.ingress.refuse(self, refusals.NO_ROOM_FOR_BODY, self.verdict)

    def finish(self) -> None:
        """Close it once its replies have left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _break_off(self) -> None:
        """The client will not send the rest of what it has begun."""
        if self.phase is BODY:
            self._context.ingress.refuse(self, refusals.BROKEN_BODY, self.verdict)
        elif self._head_reader.is_begun:
            self._answer_no_request(refusals.BROKEN_HEAD)
        else:
            self.finish()

    def _answer_no_request(self, refusal: Refusal) -> None:
        """Answer what is none. The connection ends with it."""
        self._context.malformed.note(refusal)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(render(replies.refused(refusal.status, refusal.message), True, self._loop.time()))
            self._end(self._transport)

    def _end(self, transport: asyncio.Transport) -> None:
        """The last reply is given: nothing more is read, and the client is given some time to take it."""
        self.phase = ENDING
        self.deadline = self._loop.time() + LINGER_S
        if self.arrived_bytes:
            self._context.heads.ended(self)
            self._head_reader = HeadReader()  # The one before holds what has arrived.
        was_paused = bool(self._early) or self._is_cut_off
        self._drop_early()
        if self._is_half_closed:
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # The client is gone, and the event loop has not come to tell us.
            self.abort()
            return
        if was_paused:
            transport.resume_reading()

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.abort()
