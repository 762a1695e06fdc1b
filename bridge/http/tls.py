"""Connections whose beginning lies before their first request: those behind a front, and those with TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from bridge.http.connection import LINGER_S, HttpConnection
from bridge.http.context import HttpContext
from bridge.http.phase import Phase
from bridge.ingress.refusals import Refusal

QUIET_S = 0.05
"""A client that has sent nothing for so long behind its last reply has read it, or has nothing more to send."""


class Predecessor(Protocol):
    """What a connection was before."""

    peer: str | None
    """Address of who is connected, as a front told it perhaps."""
    deadline: float
    """When the head of the first request has to be there, by the clock of the event loop."""

    def give_place(self) -> bool:
        """Let the connection have its place in the table. False: it has been ended meanwhile."""


MakeConnection: TypeAlias = Callable[[HttpContext, asyncio.AbstractEventLoop, Predecessor], HttpConnection]


class BegunConnection(HttpConnection):
    """A connection whose client, and whose time, are known from before.

    Args:
        context, loop: as for each connection.
        predecessor: what it was until now.
    """

    __slots__ = ("_predecessor",)

    def __init__(self, context: HttpContext, loop: asyncio.AbstractEventLoop, predecessor: Predecessor) -> None:
        super().__init__(context, loop)
        self._predecessor: Predecessor | None = predecessor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may send its first request."""
        super().connection_made(transport)
        predecessor, self._predecessor = self._predecessor, None
        assert predecessor is not None
        self.peer = predecessor.peer
        self.deadline = predecessor.deadline
        if not predecessor.give_place():
            self.abort()


class RefusedConnection(BegunConnection):
    """A connection that has its last reply before it has asked anything."""

    __slots__ = ("_refusal",)

    def __init__(
        self, refusal: Refusal, context: HttpContext, loop: asyncio.AbstractEventLoop, predecessor: Predecessor
    ) -> None:
        super().__init__(context, loop, predecessor)
        self._refusal = refusal

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is told why."""
        super().connection_made(transport)
        self._answer_no_request(self._refusal)


class TlsConnection(BegunConnection):
    """A connection with TLS, which ends in another way: neither side can close its half alone."""

    __slots__ = ()

    def eof_received(self) -> bool:
        """The client sends nothing more, and gets nothing more. What is whole is handled all the same."""
        super().eof_received()
        return False

    def _end(self, transport: asyncio.Transport) -> None:
        """The last reply is given. Were TLS ended while the client still sends, it would not get to read the reply."""
        self.phase = Phase.ENDING
        self.deadline = self._loop.time() + LINGER_S
        was_paused = bool(self._early) or self._is_cut_off
        self._drop_early()
        if was_paused and not self._is_half_closed:
            transport.resume_reading()
        self._loop.call_later(QUIET_S, self._close_once_quiet, self._discarded)

    def _close_once_quiet(self, discarded: int) -> None:
        if self._transport is None or self.phase is not Phase.ENDING:
            return
        if self._discarded == discarded:
            self._transport.close()
        else:
            self._loop.call_later(QUIET_S, self._close_once_quiet, self._discarded)
