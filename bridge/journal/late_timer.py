"""A timer that does not mistake our own delay for that of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ROUNDS = 6
"""How often it goes around the event loop. From the socket to the journal a confirmation of Kafka takes up to five: the
reader of the connection wakes a task, and that another one."""


class LateTimer:
    """Calls back when its time has come, but not before all has been looked at that had arrived by then.

    An event loop that was busy comes to its timers first, and to what waits at its sockets only then. So of a
    confirmation that is there already a timer would say that it has not come.

    Args:
        loop: the event loop.
        callback: called once for each `start_at`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.Handle | None = None

    @property
    def is_started(self) -> bool:
        """Whether it is going to call back."""
        return self._handle is not None

    def start_at(self, when: float, *, rounds: int = ROUNDS) -> None:
        """Call back at this time of the event loop, and so many rounds later."""
        self._handle = self._loop.call_at(when, self._go_around, rounds)

    def cancel(self) -> None:
        """Do not call back."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go_around(self, rounds: int) -> None:
        if rounds:
            self._handle = self._loop.call_soon(self._go_around, rounds - 1)
        else:
            self._handle = None
            self._callback()
