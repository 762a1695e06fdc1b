"""A circuit breaker: leaves alone what fails, and finds out by one call at a time whether it works again."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from common.retry import Backoff


class BreakerState(Enum):
    """Of a `CircuitBreaker`."""

    CLOSED = "closed"
    """All is well: calls are made."""
    OPEN = "open"
    """Calls have failed: none is made for a while."""
    HALF_OPEN = "half-open"
    """The while is over: one call at a time is made, and decides how it goes on."""


class CircuitBreaker:
    """Decides whether calls are made; it is told of each call's outcome and makes none itself.

    | from | to | when |
    | --- | --- | --- |
    | closed | open | `max_failures` calls in a row have failed, or one in a way that says that all others will |
    | open | half-open | its time is over |
    | half-open | open | a call has failed; for the next, longer time of `open_for` |
    | any | closed | a call has succeeded |

    Failures while it is open are of calls that began before, and count for nothing.

    Args:
        max_failures: how many in a row open it.
        open_for: how long it stays open each time, in seconds; from the beginning again once it was closed.
        now: the clock, in seconds.
    """

    def __init__(self, *, max_failures: int, open_for: Backoff, now: Callable[[], float] = time.monotonic) -> None:
        self._max_failures = max_failures
        self._open_for = open_for
        self._now = now
        self._failures = 0
        self._is_closed = True
        self._open_until = 0.0
        self._held_until = 0.0

    @property
    def state(self) -> BreakerState:
        """What it is now."""
        if self._is_closed:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._now() < self._open_until else BreakerState.HALF_OPEN

    @property
    def remaining_s(self) -> float:
        """Seconds until a call may be made."""
        return max(0.0, max(self._open_until, self._held_until) - self._now())

    def free(self, *, running: int, max_running: int) -> int:
        """How many calls may begin now, beside those that are running; 0 or less: none.

        Args:
            running: calls whose outcome is not known yet.
            max_running: how many at a time are right while it is closed.
        """
        if self.remaining_s > 0:
            return 0
        return (max_running if self._is_closed else 1) - running

    def hold(self, seconds: float) -> None:
        """Make no call for so long, though none has failed: the other side asks for time. The state stays."""
        self._held_until = max(self._held_until, self._now() + seconds)

    def failed(self, *, for_all: bool = False) -> bool:
        """A call has failed. Whether that has opened it, for the first time or again.

        Args:
            for_all: the failure says that all others will fail too, so that none need be counted.
        """
        self._failures += 1
        if self.state is BreakerState.OPEN:
            return False
        if self._is_closed and not for_all and self._failures < self._max_failures:
            return False
        self._is_closed = False
        self._open_until = self._now() + next(self._open_for)
        return True

    def succeeded(self) -> bool:
        """A call has succeeded. Whether that has closed it."""
        was_closed, self._is_closed = self._is_closed, True
        self._failures = 0
        self._open_until = 0.0
        self._open_for.reset()
        return not was_closed
