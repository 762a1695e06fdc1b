"""How fast a backlog leaves, and how much at once: so that the callbacks that come meanwhile hardly notice."""

from __future__ import annotations

import asyncio
import time

BACKLOG_SHARE = 0.1
"""The share of the event loop's time that we spend on a backlog; what aiokafka and SQLite do with it comes on top."""
MAX_REST_S = 0.1
BEHIND_AFTER_S = 0.25
"""A record that has waited for longer belongs to a backlog."""
IDLE_AFTER_S = 1.0
"""After so long without a callback, a backlog need not give way to any."""

ROUND_BYTES = 256 * 1024
"""A round is no larger than the event loop can take in some milliseconds."""
ROUND_S = 0.02
"""How long a round trip takes where brokers are near."""
ROUND_TRIP_MAX_S = 0.25
ROUND_TRIPS_AVERAGED = 16


class Arrivals:
    """When a callback came last, whatever its topic: all publishers of a process give way to it."""

    def __init__(self) -> None:
        self._last = -IDLE_AFTER_S

    def note(self) -> None:
        """A callback has come."""
        self._last = time.perf_counter()

    @property
    def come(self) -> bool:
        """Whether any came lately."""
        return time.perf_counter() - self._last < IDLE_AFTER_S


class Pace:
    """Holds the backlog of a topic to its share of the event loop, so that callbacks that come find it free.

    As a context manager it surrounds the work that counts, by the clock: to ask for CPU time takes ten times as long. A
    process that was stopped meanwhile seems to have worked, which is one reason why no rest is long.

    Args:
        arrivals: of callbacks; a backlog hurries while there are none.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._worked_s = 0.0
        self.start()

    @staticmethod
    def is_behind(oldest_s: float) -> bool:
        """Whether what is published next, which has waited for `oldest_s` seconds, is of a backlog."""
        return oldest_s > BEHIND_AFTER_S

    def gives_way(self, oldest_s: float, *, disk_ok: bool) -> bool:
        """Whether it is of a backlog, and that has to rest.

        Only while callbacks come, and only if the disk takes them: else their replies wait for Kafka behind it.
        """
        return self.is_behind(oldest_s) and self._arrivals.come and disk_ok

    def start(self) -> None:
        """A round begins."""
        self._began = time.perf_counter()
        self._worked_s = 0.0

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._worked_s += time.perf_counter() - self._entered

    async def rest(self) -> None:
        """Wait until the work is no more than the share of the time since the round began, but not for long."""
        passed_s = time.perf_counter() - self._began
        await asyncio.sleep(min(self._worked_s / BACKLOG_SHARE - passed_s, MAX_REST_S))


class RoundSize:
    """How many bytes leave in one round: where brokers are far away, as much more as they take longer than ROUND_S."""

    def __init__(self) -> None:
        self._round_trip_s = 0.0
        """How long Kafka takes to confirm a batch, on average lately."""

    @property
    def bytes(self) -> int:
        """Bytes of a round, of all partitions together."""
        return int(ROUND_BYTES * max(1.0, self._round_trip_s / ROUND_S))

    def confirmed_after(self, seconds: float) -> None:
        """A batch was confirmed so long after it was sent."""
        self._round_trip_s += (min(seconds, ROUND_TRIP_MAX_S) - self._round_trip_s) / ROUND_TRIPS_AVERAGED
