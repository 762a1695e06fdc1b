"""How often something may happen in a minute."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """Admits so many events in each minute of the clock.

    Args:
        per_minute: how many.
        now: a clock, in seconds.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._now = now
        self._minute = 0
        self._count = 0

    def admits(self) -> bool:
        """Whether one more may pass now."""
        minute = int(self._now() / 60)
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        return self._count <= self._per_minute
