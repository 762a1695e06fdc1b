"""A place for one process of the ingress: always taken, by a successor at once when its process is replaced or dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from bridge.process.child_process import ChildProcess
from bridge.settings import BridgeSettings
from common.logs import fields
from common.retry import Backoff

log = logging.getLogger(__name__)

RESTART_FIRST_S, RESTART_MAX_S = 0.1, 5.0
STABLE_AFTER_S = 1.0
"""A child that has lived this long is started again at once when it dies; others are waited with."""
START_TIMEOUT_MAX_S = 3600.0

StartChild = Callable[[int, float], Awaitable[ChildProcess]]
"""Starts a process of that number, which has so many seconds until it accepts. Raises OSError."""


class Slot:
    """Keeps one process running.

    Args:
        number: its name in logs and metrics.
        settings: how long a start may take.
        start: starts a process.
        stopping: set when all is to end: no process is started any more, and none missed.
        child: one that serves already.
    """

    def __init__(
        self,
        number: int,
        settings: BridgeSettings,
        start: StartChild,
        stopping: asyncio.Event,
        child: ChildProcess | None = None,
    ) -> None:
        self.number = number
        self.child = child
        """The process that serves, or begins to; None: the last one has ended."""
        self.changing = asyncio.Lock()
        """Held while one process takes the place of another."""
        self.restarts = 0
        """How many processes ended here unasked, and others were started."""
        self._start = start
        self._stopping = stopping
        self._first_timeout_s = self._timeout_s = settings.start_timeout_s

    async def keep_running(self) -> None:
        """Start a process again whenever it ends, until all is to end."""
        waits = Backoff(first_s=RESTART_FIRST_S, max_s=RESTART_MAX_S)
        while not self._stopping.is_set():
            child = await self._present()
            outcome = await child.ended if child is not None else "could not be started"
            if self._stopping.is_set():
                return
            async with self.changing:  # A successor that is under way decides first whether it takes the place.
                if child is not None and self.child is not child:
                    continue
                self.child = None
            log.error(
                "process %d %s; starting it again",
                self.number,
                outcome,
                extra=fields("process_ended", process=str(self.number), reason=outcome),
            )
            self.restarts += 1
            if child is not None and child.accepting.is_set() and time.monotonic() - child.started_at > STABLE_AFTER_S:
                waits.reset()
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), next(waits))

    async def replace(self) -> str:
        """Start a successor, and let the present process go once that accepts.

        Returns:
            why there is no successor, for people; then the present process goes on. Empty: it is done.
        """
        async with self.changing:
            if self._stopping.is_set():
                return "is not started any more: all is to end"
            try:
                successor = await self._begin()
            except OSError as error:
                return f"could not be started: {error}"
            if not await successor.begins():
                return await successor.ended
            replaced, self.child = self.child, successor
        if replaced is not None and replaced.is_alive and not self._stopping.is_set():
            replaced.replace()
            await replaced.ended
        return ""

    async def _present(self) -> ChildProcess | None:
        """The process in this place, started if there is none; None: it cannot be."""
        async with self.changing:
            if self.child is None and not self._stopping.is_set():
                try:
                    self.child = await self._begin()
                except OSError as error:
                    log.error(
                        "process %d cannot be started: %s",
                        self.number,
                        error,
                        extra=fields("process_not_started", process=str(self.number), reason=str(error)),
                    )
        return self.child

    async def _begin(self) -> ChildProcess:
        child = await self._start(self.number, self._timeout_s)
        child.ended.add_done_callback(lambda _: self._note_end(child))
        return child

    def _note_end(self, child: ChildProcess) -> None:
        """The next one has more time where this one had too little."""
        if child.accepting.is_set():
            self._timeout_s = self._first_timeout_s
        elif child.was_too_slow:
            self._timeout_s = min(2 * self._timeout_s, START_TIMEOUT_MAX_S)
