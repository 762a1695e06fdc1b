"""The journals of processes that ended while we run: their events must not be stranded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bridge.journal.folder import find_unowned, take_over
from bridge.journal.store import Backlog, Store
from bridge.journal.writer import FileThread

log = logging.getLogger(__name__)


class Adopter:
    """Takes over the files of processes that are gone, while we run.

    A file must have been without an owner at two looks: its owner may be starting again, and should find it, because
    then its backlog goes before what the new process accepts.

    Args:
        folder: where the files are.
        loop: the event loop.
    """

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._folder = folder
        self._loop = loop
        # To look through what others left may take seconds, in which the writer would sync nothing.
        self._thread = FileThread(loop, "journal-adopter")
        self._unowned: frozenset[Path] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def start(self, interval_s: float, on_adopted: Callable[[Store, Sequence[Backlog]], None]) -> None:
        """Look every `interval_s` seconds; `on_adopted` is called with each file and what it holds."""
        self._thread.start()
        self._task = self._loop.create_task(self._run(interval_s, on_adopted))

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
        self._thread.stop()

    async def _run(self, interval_s: float, on_adopted: Callable[[Store, Sequence[Backlog]], None]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                unowned = frozenset(await self._thread.call(lambda: find_unowned(self._folder)))
                lasting = sorted(unowned & self._unowned)
                for store, backlogs in await self._thread.call(partial(take_over, self._folder, lasting)):
                    on_adopted(store, backlogs)
                self._unowned = unowned
            except Exception:
                log.exception("looking for journals without an owner failed; it is tried again")
