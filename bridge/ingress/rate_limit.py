"""How much of something may happen in a minute."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """Admits so much in each minute of the clock.

    Args:
        per_minute: how much, in events or in bytes.
        now: a clock, in seconds.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._now = now
        self._minute = 0
        self._used = 0

    def has_room(self, amount: int = 1) -> bool:
        """Whether so much more may pass now."""
        minute = int(self._now() / 60)
        if minute != self._minute:
            self._minute, self._used = minute, 0
        return self._used + amount <= self._per_minute

    def use(self, amount: int = 1) -> None:
        """So much has passed."""
        self._used += amount
