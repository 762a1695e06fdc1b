"""Third step: the journal makes records durable, keeps their order, and hands them to the publisher.

What it guarantees
------------------
1. `append` resolves a record with True only when Kafka confirmed it with acks=all, or when a sync to disk that covers
   it succeeded: whichever comes first. It resolves it with False at the reply deadline, and keeps it all the same.
2. A topic queue hands its records out in the order of `append`, first those that a predecessor left, each at least once
   until it is confirmed. Nothing here drops a record that Kafka has not confirmed, except one that was never durable in
   a process that dies.
3. Memory is bounded: what is neither on disk nor in Kafka by `memory_max_bytes` (then `append` refuses), the backlog in
   memory by `read_ahead_bytes` for a topic, twice. The rest of a backlog is on disk only.
4. So is the disk, by `max_bytes` (`budget`): of the files, and of what the publisher has put into quarantine beyond its
   own budget. Without room nothing is written, and only Kafka acknowledges; when it does not, `append` refuses.
5. Each record of a topic that is numbered has its number before it is on any way, and is marked when it is durable,
   before anybody is told (`numbering`).

How it keeps them
-----------------
Records that come together gather into a *group* of one topic, which is offered to its topic queue at once. If Kafka
confirms it within milliseconds, that was all: nothing is written. If not, it is handed to the writer thread, which
inserts it as a row of the current file (`store`). That costs no sync: a row survives the end of the process, not of the
machine, so it acknowledges nothing by itself. After `sync_after_s`, or a little more where Kafka took nearly as long
lately (`patience`), one sync makes every waiting group durable, and resolves its records (`group_commit`). While Kafka
stays slow every group is written at once, and synced as soon as the disk has finished the sync before.

A group is in one of these states (`groups.GroupState`):

    GATHERING ──flush──▶ UNWRITTEN ──write──▶ UNSYNCED ──sync──▶ SYNCED
                             ▲                   │
                             └── its file failed ┘

From each but the first it becomes COMPLETE when Kafka has confirmed all of it; its row is deleted in passing.

The records of gathering, unwritten and unsynced groups are in memory, because somebody waits for them. A synced group
needs no memory: where its topic queue has enough read ahead, it is replaced by a *range* of rows, and read again when
its turn comes (`topic_queue`).

A file is either *current* (written) or *retired* (only read, drained and removed: `files`). Files of a dead predecessor
are retired from the start, ranges at the head of the queues, so the backlog goes first. A file whose write or sync
failed is retired on the spot, for a failed sync must never be repeated on the same file: the kernel may have dropped
the dirty pages and would report success. Its synced rows are still good; its unsynced groups are unwritten again, and
are written to a new file as soon as one can be made. Meanwhile only Kafka acknowledges. A file that grew in an outage
is replaced when it is empty, since SQLite files do not shrink.

A file that is not in its folder any more, or was truncated, has failed too, whatever the disk says of its syncs: nobody
would find it after our end (`presence`). Each sync looks before it acknowledges. What such a file holds is read through
what we have open of it, and copied to a new one (`rescue`).

Files are numbered in the order in which they were made (`journal_name`), so that the next process takes them over in
that order. It holds a few of them open, for descriptors are limited, and moves what the others hold into the last of
these (`folder`). What lies in the folder and is no file of ours is neither opened nor changed (`own_file`, `header`).

The lock of a file is its ownership: SQLite holds it in exclusive mode, and the kernel frees it however a process ends
(`lock`).

All of this runs on the event loop, except what touches a file: that runs in the writer thread, in the order of its
queue (`writer`). So a row can be read after it was handed over, and a group that is complete when its turn to be
written comes is not written at all. Only what dead processes left is looked through in a thread of its own, until it is
taken over (`adopter`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge import metrics
from bridge.journal.budget import DiskBudget
from bridge.journal.deadlines import ReplyDeadlines
from bridge.journal.files import JournalFiles, LeftByOthers
from bridge.journal.group_commit import GroupCommit
from bridge.journal.groups import GROUP_OVERHEAD_BYTES, Group, GroupState, PendingRecord, Resolve, resolve_all
from bridge.journal.journal_file import JournalFile
from bridge.journal.limits import JournalLimits
from bridge.journal.numbering import Numbering, SetAsideNumbers
from bridge.journal.outlet import Outlet
from bridge.journal.patience import Patience
from bridge.journal.record import Record
from bridge.journal.store import Backlog, Store
from bridge.journal.topic_queue import TopicQueue
from bridge.journal.writer import JournalWriter
from bridge.settings import BridgeSettings

T = TypeVar("T")


class JournalFullError(Exception):
    """The record cannot be kept: neither disk nor memory takes it, or too much waits already."""


@dataclass(frozen=True)
class JournalState:
    """Figures for readiness and metrics."""

    disk_ok: bool
    stored_bytes: int
    """On disk and not in Kafka."""
    memory_bytes: int
    """Neither on disk nor in Kafka."""
    stored_events: int
    """Records on disk and not in Kafka; a group counts until all of it is confirmed."""
    waiting_events: int
    """Records that Kafka has not confirmed, wherever they are."""
    waiting_bytes: int
    """What they take, about."""


class Journal:
    """Makes records durable and keeps their order, as the essay of this module says. Made on the event loop.

    Its fields are many because it holds the parts together that the essay names.

    Args:
        folder: where the files are.
        limits: of what it holds.
        outlet: where records leave to.
    """

    def __init__(self, folder: Path, limits: JournalLimits, outlet: Outlet) -> None:
        # From the root: a relative one would follow our working directory to wherever that is moved.
        self.folder = folder = folder.absolute()
        self.queues: dict[str, TopicQueue] = {}
        """Topic → what waits for Kafka."""
        self.budget = DiskBudget(limits.max_bytes)
        self._limits = limits
        self._memory_max_bytes = limits.memory_max_bytes
        self._outlet = outlet
        self._loop = asyncio.get_running_loop()
        self._numbering: Numbering = {}
        self.set_aside_numbers = SetAsideNumbers()
        """Of records that never come."""
        self._gathering: dict[str, Group] = {}
        self._flush_timer: asyncio.TimerHandle | None = None
        self._last_seq = 0
        self._memory_bytes = 0
        """Of all groups that are gathering, unwritten or unsynced."""
        self._deadlines = ReplyDeadlines(self._loop, limits.reply_deadline_s)
        self._writer = JournalWriter(self._loop, on_synced=self._synced, on_failed=self._failed)
        self._files = JournalFiles(
            folder,
            budget=self.budget,
            adopt_interval_s=limits.adopt_interval_s,
            writer=self._writer,
            on_inherited=self._inherited,
            on_writable=self._writable,
            has_unwritten=lambda: self._group_commit.has_unwritten,
        )
        self._group_commit = GroupCommit(
            self._loop,
            files=self._files,
            writer=self._writer,
            outlet=outlet,
            patience=Patience(limits.sync_after_s, limits.reply_deadline_s),
            on_synced=self._group_synced,
        )

    @classmethod
    def from_settings(cls, settings: BridgeSettings, outlet: Outlet, *, folder: Path | None = None) -> Journal:
        """The journal that the settings describe, perhaps of another folder."""
        return cls(folder or settings.journal_dir, JournalLimits.from_settings(settings), outlet)

    # -- Start and stop ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what dead predecessors left, and open a file of our own, now or when the disk takes one."""
        self._writer.start()
        await self._files.start()
        self._group_commit.start()

    async def stop(self, timeout_s: float) -> None:
        """Make durable what is here, as far as the disk allows within `timeout_s`, and give the files back."""
        self.flush()
        self._group_commit.stop()
        self._deadlines.stop()
        with contextlib.suppress(TimeoutError, sqlite3.Error, OSError):
            async with asyncio.timeout(timeout_s):
                await self._files.settle()
                self._group_commit.write_pending()
                await self._files.stop()
        self._writer.stop()

    async def on_disk(self, function: Callable[[], T]) -> T:
        """The result of `function`, which touches files, called behind the journal's own file work."""
        return await self._writer.call(function)

    def free_caches(self, then: Callable[[], object]) -> None:
        """Keep no memory beside what waits, and call `then` in the writer's thread when that is done."""
        self._files.free_caches(then)

    # -- Appending -----------------------------------------------------------------------------------------------------

    def append(self, record: Record, resolve: Resolve | None = None, *, forced: bool = False) -> None:
        """Take a record.

        Args:
            record: what is to be durable.
            resolve: called once, with True when it is durable, with False when it is not within the reply deadline.
            forced: take it whatever the limits are: for the few records that the bridge itself writes.

        Raises:
            JournalFullError: it was not taken, and `resolve` is not called.
        """
        if not forced:
            if self._memory_bytes >= self._memory_max_bytes:
                raise JournalFullError("too much waits to become durable")
            if not (self._outlet.confirms or self._disk_takes(self._files.is_in_a_moment)):
                raise JournalFullError("the disk takes nothing more and Kafka confirms nothing")
        group = self._gathering.get(record.topic)
        if group is None:
            group = self._gathering[record.topic] = Group(record.topic, self._loop.time())
            if self._flush_timer is None:
                self._flush_timer = self._loop.call_later(self._limits.gather_s, self.flush)
        self._memory_bytes += group.add(record, resolve)

    def flush(self) -> None:
        """Gather no longer: offer to Kafka what has gathered."""
        if self._flush_timer is None:
            return
        self._flush_timer.cancel()
        self._flush_timer = None
        gathered, self._gathering = self._gathering, {}
        for group in gathered.values():
            self._last_seq += 1
            group.seq = self._last_seq
            metrics.GATHERED.count(len(group.records))
            if (numbers := self._numbering.get(group.topic)) is not None:
                group.first_number = numbers.number(group.records)
                group.ring = numbers.ring
            group.flushed = self._loop.time()
            group.become(GroupState.UNWRITTEN)
            self._memory_bytes += GROUP_OVERHEAD_BYTES
            self._deadlines.watch(group)
            self._group_commit.add(group)
            self.queue(group.topic).offer(group)
        self._group_commit.schedule()

    # -- Numbers -------------------------------------------------------------------------------------------------------

    def number_by(self, numbering: Numbering) -> None:
        """Give the records of these topics numbers, from now on."""
        self._numbering = numbering

    def set_aside(self, pending: PendingRecord, *, kept: bool) -> None:
        """A record never comes, since Kafka refuses it for good. `kept`: on disk; else nobody was told of it."""
        self.set_aside_numbers.add(pending.record)
        pending.is_dropped = not kept
        pending.group.is_whole = False

    def confirmed_through(self, topic: str) -> int:
        """Kafka has confirmed all records of this process up to this number, or they were set aside."""
        first = self.queues[topic].first_number if topic in self.queues else 0
        return first - 1 if first else self._numbering[topic].given

    async def look(self) -> None:
        """Look through the folder once more."""
        with contextlib.suppress(OSError):
            await self._files.look()

    @property
    def left_by_others(self) -> LeftByOthers:
        """How it stands with what others have left in the folder."""
        return self._files.left_by_others

    # -- Acknowledging: the two places that resolve with True ----------------------------------------------------------

    def confirm(self, records: Sequence[PendingRecord]) -> None:
        """Kafka confirmed these records, of groups that were leased."""
        last: Group | None = None
        partly: list[Group] = []
        for pending in records:
            if pending.confirmed:
                continue
            pending.confirmed = True
            group = pending.group
            group.unconfirmed -= 1
            if group.unconfirmed == 0:
                self._complete(group)
            elif group is not last:
                last = group
                partly.append(group)
        for group in dict.fromkeys(partly):
            group.mark_confirmed()
        resolve_all(records, True)

    def _group_synced(self, group: Group) -> None:
        """The disk holds a group for good."""
        self._memory_bytes -= group.size
        group.mark_durable()
        group.resolve(True)
        self.queues[group.topic].synced(group)

    def _complete(self, group: Group) -> None:
        """Kafka has confirmed all of a group: nobody needs it any more."""
        group.mark_durable()
        if group.state is not GroupState.SYNCED:
            self._memory_bytes -= group.size
        group.become(GroupState.COMPLETE)
        self.queues[group.topic].confirmed(group)
        self._group_commit.confirmed(group)
        if group.file is not None:
            self._files.confirmed(group)
        elif self._files.current is None:
            self._files.plan_cleanup()  # It may have been the last that a failed file was kept for.
        group.forget_records()

    # -- What the disk tells -------------------------------------------------------------------------------------------

    def _synced(self, store: Store, through: int) -> None:
        self._group_commit.synced(store, through)

    def _failed(self, store: Store, error: Exception) -> None:
        if self._files.fail(store, error):
            self._group_commit.file_failed()

    def _writable(self) -> None:
        self._group_commit.write_pending()

    def _inherited(self, file: JournalFile, backlogs: Sequence[Backlog]) -> None:
        for backlog in backlogs:
            self.queue(backlog.topic).inherit(file, backlog.last_seq, int(backlog.oldest * 1000))

    # -- What it holds -------------------------------------------------------------------------------------------------

    def queue(self, topic: str) -> TopicQueue:
        """The queue of a topic."""
        if topic not in self.queues:
            self.queues[topic] = TopicQueue(topic, self._limits.read_ahead_bytes, self._writer, self._outlet.available)
        return self.queues[topic]

    @property
    def disk_ok(self) -> bool:
        """Whether the disk takes records at present."""
        return self._disk_takes()

    def _disk_takes(self, is_in_a_moment: bool = False) -> bool:
        has_file = self._files.current is not None or is_in_a_moment
        return has_file and self.budget.has_room and not self._writer.is_stuck

    @property
    def disk_problem(self) -> str:
        """Why the disk takes no records at present, for people; empty while it does."""
        if self._files.current is None:
            return self._files.problem or f"{self.folder}: a journal is being made"
        if self._writer.is_stuck:
            return f"{self.folder}: the disk does not answer"
        if not self.budget.has_room:
            return f"{self.folder}: all of BRIDGE_JOURNAL_MAX_BYTES ({self.budget.max_bytes:,} bytes) is used"
        return ""

    @property
    def fraction_used(self) -> float:
        """How much of the budget of disk or memory is used, whichever is fuller: 0.0 (nothing) to 1.0 and beyond."""
        return max(self.budget.fraction_used, self._memory_bytes / self._memory_max_bytes)

    @property
    def is_drained(self) -> bool:
        """Whether Kafka confirmed everything."""
        return not self._gathering and all(queue.is_drained for queue in self.queues.values())

    @property
    def state(self) -> JournalState:
        """Figures for readiness, metrics and status."""
        in_memory = [*self._gathering.values(), *self._group_commit.unwritten]
        return JournalState(
            self.disk_ok,
            self.budget.stored_bytes,
            self._memory_bytes,
            stored_events=(stored := self._files.records),
            waiting_events=stored + sum(len(group.records) for group in in_memory),
            waiting_bytes=self.budget.stored_bytes + sum(group.size for group in in_memory),
        )

    @property
    def file_names(self) -> list[str]:
        """Of the files in its folder that it has open."""
        return self._files.names

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record was received that nobody has leased, Unix milliseconds; None: there is none."""
        times = (queue.oldest_ms for queue in self.queues.values())
        return min((time_ms for time_ms in times if time_ms is not None), default=None)
