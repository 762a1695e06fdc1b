"""An event loop whose clock stands still until a test moves it: what would take a minute takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs nothing by itself: `advance` runs what is due until then, `run_due` what is due now."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Nothing is to be done for so long."""
        self._now += seconds

    def run_due(self) -> None:
        """Run what is due now, and what that makes due."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not ready:
                return

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.call_later(seconds, self.stop)
        self.run_forever()
        self.run_due()

    def start_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin some work, and run it as far as it gets now."""
        task = self.create_task(work)
        self.run_due()
        return task

    def end(self) -> None:
        """Drop all that runs and waits, as the end of a process does."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: it moves the clock to where the waiting would have ended."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now."""
        if timeout is not None and timeout > 0:
            self._loop.jump(timeout)
        return super().select(0)
