"""Requests that have arrived whole gather for a few milliseconds, and are then handled in one go.

The journal wants them as one group anyway; and a step that is done many times in a row finds its code in the caches of
the processor, and takes half as long as one that takes turns with parsing and system calls.

They do not gather for nothing: when Kafka confirms something, what has gathered meanwhile leaves at once, and where few
come, and it has confirmed all that there was, what arrives does. Then a reply takes about a round trip. Only while many
come, and the processor's time is what is short, it is worth more to have them together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from bridge.ingress.request import CallbackRequest
from bridge.ingress.verify import Verdict

log = logging.getLogger(__name__)


QUIET_S = 0.004
"""After so long without any, one that arrives hardly has company to wait for."""
BUSY_LOT = 16
"""After so many in one go the next gather for their time."""


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
        accept: `Ingress.accept`: answers a request, now or later.
        flush: called when all that had gathered are accepted.
        gather_s: how long they gather at most.
        is_awaited: whether what is handed over now would leave for Kafka at once.
    """

    def __init__(
        self,
        accept: Callable[[CallbackRequest, Verdict | None], None],
        flush: Callable[[], None],
        *,
        gather_s: float,
        is_awaited: Callable[[], bool] = lambda: False,
    ) -> None:
        self._accept = accept
        self._flush = flush
        self._gather_s = gather_s
        self._is_awaited = is_awaited
        self._is_busy = False
        self._handed_over_at = 0.0
        """By the event loop's clock."""
        self._timer: asyncio.Handle | None = None
        self._gathered: list[WholeRequest] = []
        self._loop = asyncio.get_running_loop()

    def add(self, request: WholeRequest) -> None:
        """A request is whole."""
        if self._timer is None:
            is_quiet = self._loop.time() - self._handed_over_at > QUIET_S
            if is_quiet and not self._is_busy and self._is_awaited():
                # Not before what else has arrived by now was read.
                self._timer = self._loop.call_soon(self._hand_over)
            else:
                self._timer = self._loop.call_later(self._gather_s, self._hand_over)
        self._gathered.append(request)

    def end(self) -> None:
        """Hand over what has gathered, unless many come: it leaves at once."""
        if self._timer is not None and not self._is_busy:
            self._timer.cancel()
            self._hand_over()

    def _hand_over(self) -> None:
        self._timer = None
        requests, self._gathered = self._gathered, []
        self._handed_over_at = self._loop.time()
        self._is_busy = len(requests) >= BUSY_LOT
        try:
            for request in requests:
                try:
                    self._accept(request, request.verdict)
                except Exception:  # Trouble with one must not leave the others without a reply.
                    log.exception("a request could not be answered")
                    request.abort()
        finally:
            self._flush()
