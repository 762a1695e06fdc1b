"""How fast a backlog leaves: slowly enough for the callbacks that come meanwhile."""

from __future__ import annotations

import asyncio
import time

BACKLOG_SHARE = 0.1
"""Most of the event loop's time that we spend on a backlog; what aiokafka and SQLite do with it comes on top."""
LONGEST_REST_S = 0.1


class Pace:
    """Holds a backlog to its share of the event loop, so that callbacks that come meanwhile find it free.

    As a context manager it surrounds the work that counts, by the clock: to ask for CPU time takes ten times as long. A
    process that was stopped meanwhile seems to have worked, which is one reason why no rest is long.
    """

    def __init__(self) -> None:
        self._worked = 0.0
        self.start()

    def start(self) -> None:
        """A round begins."""
        self._began = time.perf_counter()
        self._worked = 0.0

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._worked += time.perf_counter() - self._entered

    async def rest(self) -> None:
        """Wait until the work is no more than the share of the time since the round began, but not for long."""
        passed = time.perf_counter() - self._began
        await asyncio.sleep(min(self._worked / BACKLOG_SHARE - passed, LONGEST_REST_S))
