"""How much is kept of callbacks that are authentic and whose time is wrong, and what the log says of it.

A clock that is wrong, here or at the platform, must not lose the callbacks of hours. But a stale time may also be that
of an old URL which somebody has seen and posts again with whatever body: Sign proves nothing but the time. So little
enough is kept that it can take the room of no real callback.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from bridge.ingress.rate_limit import RateLimit
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

JOURNAL_SHARE = 0.1
"""Nothing is kept while more than this fraction of the journal's budget is used."""


class StaleBudget:
    """What may be kept of callbacks with a stale time.

    Args:
        per_minute: most callbacks.
        bytes_per_minute: most bytes of their bodies and queries.
        fraction_used: how much of the journal's budget is used, from 0.0 to 1.0.
        now: a clock, in seconds.
    """

    def __init__(
        self,
        per_minute: int,
        bytes_per_minute: int,
        fraction_used: Callable[[], float],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = RateLimit(per_minute, now=now)
        self._bytes = RateLimit(bytes_per_minute, now=now)
        self._fraction_used = fraction_used

    def has_room(self, size: int) -> bool:
        """Whether a callback of so many bytes may be kept now."""
        return self._count.has_room() and self._bytes.has_room(size) and self._fraction_used() < JOURNAL_SHARE

    def admits(self, size: int) -> bool:
        """The same, and if so it is counted."""
        if not self.has_room(size):
            return False
        self._count.use()
        self._bytes.use(size)
        return True


class SkewLog:
    """Warns of a time that is not ours, now and then."""

    def __init__(self) -> None:
        self._throttle = Throttle()

    def warn(self, skew_s: float) -> None:
        """An authentic callback has a RequestTime that is so many seconds after our time, or before it."""
        if self._throttle.admits("skew"):
            log.warning(
                "an authentic callback says it was sent %.0f s %s our time: is the clock of this machine"
                " right? If it is, somebody posts an old URL again",
                abs(skew_s),
                "before" if skew_s < 0 else "after",
                extra=fields("clock_skew", skew_s=round(skew_s, 1)),
            )
