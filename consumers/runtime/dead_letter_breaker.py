"""Notices a worker that fails on every event, so that its bug does not turn the whole topic into dead letters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

from common.logs import fields
from common.program import command_line

log = logging.getLogger(__name__)


class DeadLetterBreaker:
    """Opens after `limit` dead letters of different keys within `window_s` seconds and not one event handled between.

    While it is open the worker's failures count as an outage: events wait and are tried again, none is a dead letter.
    It closes with the first event that is handled.

    It is no `CircuitBreaker`: it holds no call back, but decides whether the event or the worker is at fault.

    Args:
        limit: how many dead letters open it; 0: it never opens.
        window_s: how long a dead letter counts.
        on_change: told whether it is open, at first and at each change.
    """

    def __init__(self, *, limit: int, window_s: float, on_change: Callable[[bool], None]) -> None:
        self._limit = limit
        self._window_s = window_s
        self._on_change = on_change
        self._failed_at: dict[Hashable, float] = {}
        """Key → time of its last dead letter, oldest first."""
        self.is_open = False
        on_change(False)

    def failed(self, key: Hashable) -> None:
        """An event with this key has become a dead letter since the worker failed on it."""
        if not self._limit or self.is_open:
            return
        now = time.monotonic()
        self._failed_at.pop(key, None)
        self._failed_at[key] = now
        for old, at in list(self._failed_at.items()):
            if now - at <= self._window_s:
                break
            del self._failed_at[old]
        if len(self._failed_at) >= self._limit:
            self.is_open = True
            self._on_change(True)
            log.critical(
                "the worker fails on every event: %d dead letters of different keys, nothing handled between. It waits "
                "here; the event is tried again until it is handled. Repair the worker and start it again, then "
                "`%s dlq replay`. If the events are at fault, set CONSUMERS_BREAKER_DEAD_LETTERS=0",
                len(self._failed_at),
                command_line("consumers"),
                extra=fields("breaker_open", dead_letters=len(self._failed_at)),
            )

    def succeeded(self) -> None:
        """At least one event was handled."""
        if not self._failed_at and not self.is_open:
            return
        self._failed_at.clear()
        if self.is_open:
            self.is_open = False
            self._on_change(False)
            log.warning("the worker handles events again", extra=fields("breaker_closed"))
