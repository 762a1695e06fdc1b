"""The files of one process: which one is written, what each holds, and when it goes."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge.journal.adopter import Adopter
from bridge.journal.budget import DiskBudget
from bridge.journal.folder import MAX_TAKEN_OVER, Unowned, look_through, take_over
from bridge.journal.groups import Group, GroupState
from bridge.journal.journal_file import JournalFile
from bridge.journal.presence import VanishedError
from bridge.journal.rescue import Rescuer, has_vanished, rescue
from bridge.journal.store import Backlog, Store
from bridge.journal.taking_turns import turn
from bridge.journal.writer import JournalWriter
from common.logs import Throttle, fields
from common.retry import retry
from common.text import plural

log = logging.getLogger(__name__)

CLEANUP_DELAY_S = 0.02
REPLACE_ABOVE_BYTES = 64 * 1024 * 1024
"""An empty file that has held more is replaced: SQLite files do not shrink."""
REOPEN_FIRST_S, REOPEN_MAX_S = 0.05, 1.0
REPORT_INTERVAL_S = 60.0
CLOSE_WAIT_S = 0.3
"""A stop has little time. What it gives back while another has its turn may be taken over by two."""


class LeftByOthers(NamedTuple):
    """How it stands with what others have left in the folder."""

    looks: int
    """How often it was looked through, and no journal without an owner was left there."""
    waiting: int
    """How many records of journals that were taken over Kafka has not confirmed."""


class JournalFiles:
    """Opens, retires, adopts and removes the files of one process.

    Its fields are many because it knows of all that may happen to a file, and tells it on.

    What holds at all times:

    - At most one file is *current* and written. All others are *retired*: read, until Kafka has confirmed what they
      hold, then removed. A file whose write or sync failed is retired, and nothing is added to it again.
    - `budget.stored_bytes` is what all files hold that Kafka has not confirmed; beyond the budget nothing is added.
    - A file that vanished from the folder has failed. What it holds is read through what we have open of it, and copied
      to a new file, so that it outlives us.
    - A retired file goes only when it holds no group that Kafka has not confirmed. While no file is current and groups
      are unwritten, it stays, also at a stop: it may have rows of them that were not synced, which is better than
      nothing.

    Args:
        folder: where the files are; those of other processes too.
        budget: of the disk.
        adopt_interval_s: seconds between two looks for files that nobody owns.
        writer: the thread that writes.
        on_inherited: called with a retired file of somebody who is gone, and what it holds.
        on_writable: called when groups can be added that could not be before, perhaps.
        has_unwritten: whether there are groups that no file holds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        budget: DiskBudget,
        adopt_interval_s: float,
        writer: JournalWriter,
        on_inherited: Callable[[JournalFile, Sequence[Backlog]], None],
        on_writable: Callable[[], None],
        has_unwritten: Callable[[], bool],
    ) -> None:
        self.folder = folder
        self.current: JournalFile | None = None
        self.budget = budget
        self.problem = ""
        """Why no file can be written, while none is."""
        self.is_in_a_moment = False
        """Whether none is because somebody took away the last one: the disk is none the worse, and takes another."""
        self._writer = writer
        self._on_inherited = on_inherited
        self._on_writable = on_writable
        self._has_unwritten = has_unwritten
        self._files: list[JournalFile] = []
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self._cleanup_timer: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._adopter = Adopter(
            folder,
            interval_s=adopt_interval_s,
            room=lambda: max(0, MAX_TAKEN_OVER - len(self._files)),
            on_adopted=self._inherit,
            on_cleared=self._cleared,
        )
        self._rescuer = Rescuer(folder, writer, retired=lambda: [one for one in self._files if one is not self.current])
        self._is_stopped = False
        self._looks = 0

    async def start(self) -> None:
        """Inherit what dead processes left, and open a file of our own.

        A disk that takes no file is no reason not to start: it is tried again for ever.
        """
        try:
            for store, backlogs in await self._writer.call(lambda: take_over(self.folder)):
                self._inherit(store, backlogs)
            await self.look()
            self._open(await self._create())
        except (OSError, sqlite3.Error) as error:
            self._report(error)
            self._reopen(REOPEN_FIRST_S)
        self._adopter.start()
        self._rescuer.start()

    async def settle(self) -> None:
        """Before the stop: see to it that a file can be written, if the disk takes one.

        The current one may have failed without our knowing. What is handed over to it then is written nowhere.
        """
        await self._writer.call(lambda: None)  # A failure before it is told before it.
        if self._reopening is not None:
            self._reopening.cancel()
        if self.current is None and self._has_unwritten():
            try:
                self._open(await self._create())
            except (OSError, sqlite3.Error) as error:
                self._report(error)

    async def stop(self) -> None:
        """Give all files back, behind what the writer was asked so far."""
        self._is_stopped = True
        if self._cleanup_timer is not None:
            self._cleanup_timer.cancel()
        if self._reopening is not None:
            self._reopening.cancel()
        self._adopter.stop()
        await self._rescuer.stop()
        await self._writer.call(
            partial(give_back, tuple(self._files), self.folder, removes_empty=not self._may_have_unwritten)
        )

    # -- What they hold ------------------------------------------------------------------------------------------------

    def add(self, group: Group) -> None:
        """The current file holds the group from now on: its row is on the way."""
        assert self.current is not None
        group.file = self.current
        group.become(GroupState.UNSYNCED)
        self.current.add(1, len(group.records), group.size)
        self.budget.stored_bytes += group.size

    def unassign(self, group: Group) -> None:
        """The file of the group failed before it was synced: no file holds it any more."""
        assert group.file is not None
        group.file.remove(len(group.records), group.size)
        self.budget.stored_bytes -= group.size
        group.file = None
        group.become(GroupState.UNWRITTEN)

    def confirmed(self, group: Group) -> None:
        """Kafka has confirmed the group that a file holds, and its records are still known."""
        assert group.file is not None
        group.file.remove(len(group.records), group.size)
        group.file.mark_deletable(group.seq)
        self.budget.stored_bytes -= group.size
        self.plan_cleanup()

    @property
    def records(self) -> int:
        """How many records all files hold that Kafka has not confirmed; a group counts until all of it is confirmed."""
        return sum(file.records for file in self._files)

    @property
    def left_by_others(self) -> LeftByOthers:
        """How it stands with what others have left."""
        return LeftByOthers(self._looks, sum(file.records for file in self._files if file.is_inherited))

    @property
    def names(self) -> list[str]:
        """Of the files that are open, as they are called in the folder."""
        return [file.path.name for file in self._files]

    def free_caches(self, then: Callable[[], object]) -> None:
        """Let the files keep no memory that a backlog took, and call `then`, in the thread."""
        self._writer.run_in_steps(_free_caches([file.store for file in self._files], then))

    # -- The current one -----------------------------------------------------------------------------------------------

    def fail(self, store: Store, error: Exception) -> bool:
        """A write or sync of a file failed. Whether it was the current one, which is retired then."""
        if self._is_stopped or self.current is None or self.current.store is not store:
            return False  # Rows that could not be deleted are published again by whoever finds the file.
        reason = _reason(error)
        self.problem = f"{self.folder}: {reason}"
        if self._throttle.admits(f"failed: {reason}"):
            log.error(
                "the journal %s in %s failed (%s); until another can be written, only Kafka acknowledges",
                *(store.path.name, self.folder, reason),
                extra=fields("disk_failed", journal=store.path.name, folder=str(self.folder), reason=reason),
            )
        self.is_in_a_moment = isinstance(error, VanishedError)
        self._rescuer.look_now()
        self._replace(wait_s=REOPEN_FIRST_S)  # Else a disk that takes files and fails to sync them would be kept busy.
        return True

    def _replace(self, *, wait_s: float = 0.0) -> None:
        """Retire the current file, and open another after `wait_s`, or as soon as the disk takes one."""
        self.current = None
        self.plan_cleanup()
        self._reopen(wait_s)

    def _reopen(self, wait_s: float) -> None:
        if self._reopening is None or self._reopening.done():
            self._reopening = asyncio.get_running_loop().create_task(self._reopen_until_it_works(wait_s))

    async def _reopen_until_it_works(self, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        file = await retry(
            self._create, on=(OSError, sqlite3.Error), report=self._report, first_s=REOPEN_FIRST_S, max_s=REOPEN_MAX_S
        )
        self._open(file)
        log.info(
            "the journal %s is written from now on",
            file.path.name,
            extra=fields("journal_begun", journal=file.path.name),
        )
        self._clean_up()

    async def _create(self) -> JournalFile:
        above = max((file.store.number for file in self._files), default=0)  # They may have vanished from the folder.
        return JournalFile(await self._writer.call(lambda: Store.create(self.folder, above=above)))

    def _open(self, file: JournalFile) -> None:
        self.current = file
        self.is_in_a_moment = False
        self.problem = ""
        self._files.append(file)
        self._on_writable()

    def _report(self, error: Exception) -> None:
        self.is_in_a_moment = False
        reason = _reason(error)
        self.problem = f"{self.folder}: {reason}"
        if self._throttle.admits(reason):
            log.error(
                "no journal can be written in %s (%s); until it can, only Kafka acknowledges",
                self.folder,
                reason,
                extra=fields("disk_failed", folder=str(self.folder), reason=reason),
            )

    # -- The others ----------------------------------------------------------------------------------------------------

    def _inherit(self, store: Store, backlogs: Sequence[Backlog]) -> None:
        file = JournalFile(store)
        file.is_inherited = True
        self._files.append(file)
        for backlog in backlogs:
            file.add(backlog.groups, backlog.records, backlog.bytes)
            self.budget.stored_bytes += backlog.bytes
            records = plural(backlog.records, "record")
            log.info(
                "took over %s of %s from the journal %s",
                records,
                backlog.topic,
                file.path.name,
                extra=fields("journal_taken_over", events=backlog.records, topic=backlog.topic, journal=file.path.name),
            )
        self._on_inherited(file, backlogs)

    async def look(self) -> None:
        """Look whether there is a journal without an owner.

        Raises:
            OSError: the folder cannot be read.
        """
        if await self._writer.call(lambda: look_through(self.folder)) == Unowned([], True):
            self._cleared()

    def _cleared(self) -> None:
        self._looks += 1

    def plan_cleanup(self) -> None:
        """Delete in a moment what nobody needs."""
        if self._cleanup_timer is None:
            self._cleanup_timer = asyncio.get_running_loop().call_later(CLEANUP_DELAY_S, self._clean_up)

    @property
    def _may_have_unwritten(self) -> bool:
        """Whether files that count as empty may have rows of groups that no file holds for certain."""
        return self.current is None and self._has_unwritten()

    def _clean_up(self) -> None:
        """Delete the rows of complete groups, and the files that hold nothing any more."""
        if self._cleanup_timer is not None:
            self._cleanup_timer.cancel()
            self._cleanup_timer = None
        self._on_writable()
        for file in list(self._files):
            is_empty = file.groups == 0
            if file is self.current and is_empty and file.peak_bytes > REPLACE_ABOVE_BYTES:
                self._replace()
            elif file is not self.current and is_empty and not self._may_have_unwritten:
                self._files.remove(file)
                self._writer.run_in_steps(file.store.remove_in_steps())
                log.info(
                    "the journal %s is drained and removed",
                    file.path.name,
                    extra=fields("journal_drained", journal=file.path.name),
                )
            elif file.has_deletable:
                self._writer.write(file.store, deleted=file.pop_deletable())
                if file.has_deletable:
                    self.plan_cleanup()


def _reason(error: Exception) -> str:
    """Without the name of the file that was to be made: that is another one at each attempt, and the reason is not."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _free_caches(stores: Sequence[Store], then: Callable[[], object]) -> Iterator[None]:
    for store in stores:
        store.free_cache()
        yield
    then()


def give_back(files: Sequence[JournalFile], folder: Path, *, removes_empty: bool) -> None:
    """Give them back together: whoever takes over some of them takes all."""
    with turn(folder, CLOSE_WAIT_S):
        _close_each(files, folder, removes_empty=removes_empty)


def _close_each(files: Sequence[JournalFile], folder: Path, *, removes_empty: bool) -> None:
    for file in files:
        try:
            if file.groups and has_vanished(file):
                rescue(file, folder)
        except (OSError, sqlite3.Error) as error:
            log.error(
                "what the journal %s held is lost, for it could not be copied: %s",
                file.path,
                error,
                extra=fields("journal_lost", journal=file.path.name, reason=str(error)),
            )
        file.close(removes_empty=removes_empty)
