"""The journals of processes that ended while we run: their events must not be stranded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bridge.journal.folder import look_through, take_over
from bridge.journal.journal_name import in_order
from bridge.journal.store import Backlog, Store
from bridge.journal.writer import FileThread
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

REPORT_INTERVAL_S = 3600.0


class Adopter:
    """Takes over the files of processes that are gone, while we run.

    A file must have been without an owner at two looks: its owner may be starting again, and should find it, because
    then its backlog goes before what the new process accepts. All of them are taken over together, or none yet: two
    must not publish what one process left.

    Args:
        folder: where the files are.
        interval_s: between two looks.
        room: how many files can be held open now; none: they are left to neighbours, or until others are published.
        on_adopted: called with each file that was taken over, and what it holds.
        on_cleared: called after a look that leaves no journal without an owner behind.
    """

    def __init__(
        self,
        folder: Path,
        *,
        interval_s: float,
        room: Callable[[], int],
        on_adopted: Callable[[Store, Sequence[Backlog]], None],
        on_cleared: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._interval_s = interval_s
        self._room = room
        self._on_adopted = on_adopted
        self._on_cleared = on_cleared
        self._loop = asyncio.get_running_loop()
        # To look through what others left may take seconds, in which the writer would sync nothing.
        self._thread = FileThread(self._loop, "journal-adopter")
        self._unowned: frozenset[Path] = frozenset()
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now and then from now on."""
        self._thread.start()
        self._task = self._loop.create_task(self._run())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
        self._thread.stop()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                found = await self._thread.call(lambda: look_through(self._folder))
                unowned = frozenset(found.takeable)
                if unowned and unowned <= self._unowned:
                    await self._adopt(sorted(unowned, key=in_order))
                self._unowned = unowned
                if found.are_all and not unowned:
                    self._on_cleared()
            except OSError as error:
                if self._throttle.admits(str(error)):
                    log.error(
                        "journals without an owner cannot be looked for (%s); it is tried again",
                        error,
                        extra=fields("journals_unreadable", reason=str(error)),
                    )
            except Exception:
                log.exception("looking for journals without an owner failed; it is tried again")

    async def _adopt(self, paths: Sequence[Path]) -> None:
        for store, backlogs in await self._thread.call(partial(take_over, self._folder, paths, room=self._room())):
            self._on_adopted(store, backlogs)
