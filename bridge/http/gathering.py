"""Requests that have arrived whole gather for a few milliseconds, and are then handled in one go.

The journal wants them as one group anyway; and a step that is done many times in a row finds its code in the caches of
the processor, and takes half as long as one that takes turns with parsing and system calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from bridge.ingress.request import CallbackRequest
from bridge.ingress.verify import Verdict

log = logging.getLogger(__name__)


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
        gather_s: how long they gather.
    """

    def __init__(
        self,
        accept: Callable[[CallbackRequest, Verdict | None], None],
        flush: Callable[[], None],
        *,
        gather_s: float,
    ) -> None:
        self._accept = accept
        self._flush = flush
        self._gather_s = gather_s
        self._gathered: list[WholeRequest] = []
        self._loop = asyncio.get_running_loop()

    def add(self, request: WholeRequest) -> None:
        """A request is whole."""
        if not self._gathered:
            self._loop.call_later(self._gather_s, self._hand_over)
        self._gathered.append(request)

    def _hand_over(self) -> None:
        requests, self._gathered = self._gathered, []
        try:
            for request in requests:
                try:
                    self._accept(request, request.verdict)
                except Exception:  # Trouble with one must not leave the others without a reply.
                    log.exception("a request could not be answered")
                    request.abort()
        finally:
            self._flush()
