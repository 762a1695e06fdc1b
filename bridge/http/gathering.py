"""Requests that have arrived whole gather for a moment, and are then handled in one go.

The journal wants them as one group anyway; and a step that is done many times in a row finds its code in the caches of
the processor, and takes half as long as one that takes turns with parsing and system calls.

They do not gather for nothing: when the event loop has gone around and nothing more has arrived, nothing more is about
to. So the more there is to do, the more gathers, and a reply takes little more than a round trip to Kafka. Only where
each group becomes a row of the journal, since Kafka confirms nothing, it is worth its time to have fewer of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from bridge.ingress.request import CallbackRequest
from bridge.ingress.verify import Verdict

log = logging.getLogger(__name__)

MAX_GATHERED_BYTES = 4 * 1024 * 1024
"""Of bodies that gather. Nobody has verified yet who sent them, nor do they count as memory for bodies; and in one turn
of the event loop each of thousands of connections may bring one."""


class WholeRequest(CallbackRequest, Protocol):
    """A request that has arrived whole."""

    @property
    def verdict(self) -> Verdict | None:
        """Of `Ingress.admit`, if its head was looked at before its body was there."""

    def abort(self) -> None:
        """Close its connection without a reply."""


class Gathering:
    """Gathers requests.

    Args:
        accept: `Ingress.accept`: answers a request, now or later. It is told the time, in Unix nanoseconds, which is
            taken once for all that have gathered.
        flush: called when all that had gathered are accepted.
        gather_s: how long they gather at most.
        confirms: whether Kafka confirms what it is sent at present.
    """

    def __init__(
        self,
        accept: Callable[[CallbackRequest, Verdict | None, int], None],
        flush: Callable[[], None],
        *,
        gather_s: float,
        confirms: Callable[[], bool] = lambda: True,
    ) -> None:
        self._accept = accept
        self._flush = flush
        self._gather_s = gather_s
        self._confirms = confirms
        self._timer: asyncio.Handle | None = None
        self._until = 0.0
        """By the event loop's clock."""
        self._gathered: list[WholeRequest] = []
        self._bytes = 0
        """Of their bodies."""
        self._loop = asyncio.get_running_loop()

    def add(self, request: WholeRequest, size: int) -> None:
        """A request is whole, with a body of this size."""
        if self._timer is None:
            if self._confirms():
                self._until = self._loop.time() + self._gather_s
                self._timer = self._loop.call_soon(self._look, 0)
            else:
                self._timer = self._loop.call_later(self._gather_s, self.hand_over)
        self._gathered.append(request)
        self._bytes += size
        if self._bytes >= MAX_GATHERED_BYTES:
            self.hand_over()

    def _look(self, seen: int) -> None:
        """Hand over if no more than `seen` have gathered, which were there the last time around, or time is up."""
        found = len(self._gathered)
        if found == seen or self._loop.time() >= self._until:
            self.hand_over()
        else:
            self._timer = self._loop.call_soon(self._look, found)

    def hand_over(self) -> None:
        """Have all accepted that have gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        requests, self._gathered = self._gathered, []
        self._bytes = 0
        now_ns = time.time_ns()
        try:
            for request in requests:
                try:
                    self._accept(request, request.verdict, now_ns)
                except Exception:  # Trouble with one must not leave the others without a reply.
                    log.exception("a request could not be answered")
                    request.abort()
        finally:
            self._flush()
