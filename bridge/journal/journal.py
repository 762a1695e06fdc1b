"""Third step: the journal makes records durable, keeps their order, and hands them to the publisher.

What it guarantees
------------------
1. `append` settles a record with True only when Kafka confirmed it with acks=all, or when a sync to disk that covers it
   succeeded: whichever comes first. It settles it with False at the reply deadline, and keeps it all the same.
2. A lane (the records of one topic) hands its records out in the order of `append`, first those that a predecessor
   left, each at least once until it is confirmed. Nothing here drops a record that Kafka has not confirmed, except one
   that was never durable in a process that dies.
3. Memory is bounded: what is neither on disk nor in Kafka by `memory_max_bytes` (then `append` refuses), the backlog in
   memory by `read_ahead_bytes` for a lane, twice. The rest of a backlog is on disk only.

How it keeps them
-----------------
Records gather for a few milliseconds into a *group* of one topic, which is offered to its lane at once. If Kafka
confirms it within milliseconds, that was all: nothing is written. If not, it is handed to the writer thread, which
inserts it as a row of the current file (see `store`). That costs no sync: a row survives the end of the process, not of
the machine, so it acknowledges nothing by itself. After `sync_after` one sync makes every waiting group durable, and
settles its records. While Kafka stays slow every group is written at once, and synced as soon as the disk has
finished the sync before.

A group is in one of these states:

    gathering ──flush──▶ homeless ──write──▶ fresh ──sync──▶ synced      and from any of them, when Kafka confirmed all:
                       (in memory only) ◀────── the disk failed          complete ──▶ its row is deleted in passing

Homeless and fresh groups are in memory, because their records are not settled. A synced one needs no memory: where the
lane has enough read ahead, it is replaced by a *range* of rows, and read again when its turn comes.

A file is either *current* (written) or *retired* (only read, drained and removed). Files of a dead predecessor are
retired from the start, ranges at the head of the lanes, so the backlog goes first. A file whose write or sync failed is
retired on the spot, for a failed sync must never be repeated on the same file: the kernel may have dropped the dirty
pages and would report success. Its synced rows are still good; its fresh groups become homeless, and are written to a
new file as soon as one can be made. Meanwhile only Kafka acknowledges. A file that grew in an outage is replaced when
it is empty, since SQLite files do not shrink.

The lock of a file is its ownership: SQLite holds it in exclusive mode, and the kernel frees it however a process ends.

All of this runs on the event loop, except what touches a file: that runs in the writer thread, in the order of its
queue. So a row can be read after it was handed over, and a group that is complete when its turn to be written comes is
not written at all. Only what dead processes left is looked through in a thread of its own, until it is taken over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from bridge.journal.record import Record
from bridge.journal.store import Backlog, Store, find_unowned, take_over
from bridge.journal.topic_queue import GROUP_OVERHEAD, Entry, Group, Lane, Settle, drop_complete
from bridge.journal.writer import Writer
from bridge.settings import BridgeSettings
from common.logs import Throttle
from common.retry import backoff

log = logging.getLogger(__name__)

T = TypeVar("T")
EXPIRY_INTERVAL = 0.02
CLEANUP_DELAY = 0.02
# A deletion takes some 25 us, and a sync that a reply waits for may wait behind them: a few at a time, but more where
# many are due, so that no more than some hundred are overdue.
FEW_DELETED = 64
DELETED_SHARE = 8
PROBE_INTERVAL = 2.0
REPORT_INTERVAL = 60.0
REPLACE_ABOVE_BYTES = 64 * 1024 * 1024


class JournalFullError(Exception):
    """The record cannot be kept: neither disk nor memory takes it, or too much waits already."""


@dataclass
class Held:
    """What a file of this process holds."""

    groups: int = 0
    bytes: int = 0
    peak_bytes: int = 0
    done: deque[int] = field(default_factory=deque)
    """Sequence numbers of complete groups whose rows are to be deleted."""

    def next_done(self) -> list[int]:
        """The rows to be deleted next."""
        due = len(self.done)
        return [self.done.popleft() for _ in range(min(due, max(FEW_DELETED, due // DELETED_SHARE)))]


@dataclass
class JournalState:
    """Figures for readiness and metrics."""

    disk_ok: bool
    stored_bytes: int
    memory_bytes: int


class Journal:
    """See the essay above.

    Args:
        folder: where the files are.
        max_bytes: disk budget.
        memory_max_bytes: most that is neither on disk nor in Kafka.
        read_ahead_bytes: most of a lane's backlog in memory, twice (waiting, and taken).
        gather: seconds that records gather.
        sync_after: seconds that Kafka has to confirm before a group is synced.
        reply_deadline: seconds until `append` settles with False.
        adopt_interval: seconds between two looks for journals that nobody owns.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        memory_max_bytes: int,
        read_ahead_bytes: int,
        gather: float,
        sync_after: float,
        reply_deadline: float,
        adopt_interval: float,
    ) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._memory_max_bytes = memory_max_bytes
        self._read_ahead_bytes = read_ahead_bytes
        self._gather = gather
        self._write_after = sync_after / 2
        self._sync_after = sync_after
        self._reply_deadline = reply_deadline - EXPIRY_INTERVAL
        self.lanes: dict[str, Lane] = {}
        self.on_offer: Callable[[Lane], None] = lambda _lane: None
        """Called with a lane that has something to take."""
        self.kafka_confirms = False
        """Kept by the publisher: whether Kafka is confirming records at present."""
        self._loop = asyncio.get_event_loop()
        self._writer = Writer(self._loop, on_synced=self._synced, on_failed=self._failed)
        # To look through what others left may take seconds, in which nothing else would be synced.
        self._adopter = Writer(self._loop, on_synced=self._synced, on_failed=self._failed)
        self._current: Store | None = None
        self._held: dict[Store, Held] = {}
        self._seq = 0
        self._gathering: dict[str, Group] = {}
        self._fresh: deque[Group] = deque()
        self._homeless: deque[Group] = deque()
        self._memory_bytes = 0
        self._stored_bytes = 0
        self._waiting: deque[Group] = deque()
        """Groups of which replies may wait, oldest first."""
        self._kafka_is_slow = False
        self._is_tried = False
        """Whether the disk was written to since the last look at it."""
        self._sync_in_flight = False
        self._flush_timer: asyncio.TimerHandle | None = None
        self._home_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._cleanup_timer: asyncio.TimerHandle | None = None
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._adopt_interval = adopt_interval
        self._throttle = Throttle(REPORT_INTERVAL)
        self._unowned: frozenset[Path] = frozenset()
        self._background: list[asyncio.Task[None]] = []

    @classmethod
    def of(cls, settings: BridgeSettings, *, folder: Path | None = None) -> Journal:
        """The journal that the settings describe, perhaps of another folder."""
        return cls(
            folder or settings.journal_dir,
            max_bytes=settings.journal_max_bytes,
            memory_max_bytes=settings.memory_max_bytes,
            read_ahead_bytes=settings.read_ahead_bytes,
            gather=settings.gather_ms / 1000,
            sync_after=settings.sync_after_ms / 1000,
            reply_deadline=settings.reply_deadline_ms / 1000,
            adopt_interval=settings.adopt_interval_s,
        )

    # -- Start and stop ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what dead predecessors left, and open a file of our own.

        A disk that takes no file is no reason not to start: it is tried again for ever.
        """
        self._writer.start()
        self._adopter.start()
        for store, backlogs in await self._writer.call(lambda: take_over(self.folder)):
            self._inherit(store, backlogs)
        self._expire()
        await self._open_current()
        if self._current is None:
            self._reopen()
        self._background = [self._loop.create_task(self._adopt()), self._loop.create_task(self._probe())]

    def lane(self, topic: str) -> Lane:
        """The lane of a topic."""
        if topic not in self.lanes:
            self.lanes[topic] = Lane(topic, self._read_ahead_bytes, self._writer, self._offered)
        return self.lanes[topic]

    def _offered(self, lane: Lane) -> None:
        self.on_offer(lane)

    async def stop(self, timeout: float) -> None:
        """Make durable what is here, as far as the disk allows within `timeout` seconds, and give the files back."""
        self.flush()
        self._give_home()
        for timer in (self._flush_timer, self._home_timer, self._sync_timer, self._cleanup_timer, self._expiry_timer):
            if timer is not None:
                timer.cancel()
        for task in (*self._background, *filter(None, [self._reopening])):
            task.cancel()
        with contextlib.suppress(TimeoutError, sqlite3.Error, OSError):
            async with asyncio.timeout(timeout):
                await self._writer.call(partial(_close_files, dict(self._held)))
        self._writer.stop()
        self._adopter.stop()

    async def on_disk(self, function: Callable[[], T]) -> T:
        """The result of `function`, which touches files, called behind the journal's own file work."""
        return await self._writer.call(function)

    # -- Taking records ------------------------------------------------------------------------------------------------

    def append(self, record: Record, settle: Settle | None = None, *, forced: bool = False) -> None:
        """Take a record.

        Args:
            record: what is to be durable.
            settle: called once, with True when it is durable, with False when it is not within the reply deadline.
            forced: take it whatever the limits are: for the few records that the bridge itself writes.

        Raises:
            JournalFullError: it was not taken.
        """
        if not forced and self._memory_bytes >= self._memory_max_bytes:
            raise JournalFullError("too much waits to become durable")
        if not forced and not (self.kafka_confirms or self.disk_ok):
            raise JournalFullError("the disk takes nothing more and Kafka confirms nothing")
        group = self._gathering.get(record.topic)
        if group is None:
            group = self._gathering[record.topic] = Group(record.topic, self._loop.time())
            if self._flush_timer is None:
                self._flush_timer = self._loop.call_later(self._gather, self.flush)
        self._memory_bytes += group.add(record, settle).size

    def flush(self) -> None:
        """Gather no longer."""
        if self._flush_timer is None:
            return
        self._flush_timer.cancel()
        self._flush_timer = None
        gathered, self._gathering = self._gathering, {}
        for group in gathered.values():
            self._seq += 1
            group.seq = self._seq
            group.flushed = self._loop.time()
            self._memory_bytes += GROUP_OVERHEAD
            self._waiting.append(group)
            self._homeless.append(group)
            self.lane(group.topic).offer(group)
        if self._kafka_is_slow or not self.kafka_confirms:
            self._give_home()
        elif self._home_timer is None:
            self._home_timer = self._loop.call_later(self._write_after, self._write_unconfirmed)

    def _write_unconfirmed(self) -> None:
        """Write the groups that Kafka should have confirmed by now."""
        self._home_timer = None
        drop_complete(self._homeless)
        if not self._homeless:
            return
        due = self._homeless[0].flushed + self._write_after
        if due > self._loop.time() and not self._kafka_is_slow and self.kafka_confirms:
            self._home_timer = self._loop.call_at(due, self._write_unconfirmed)
        else:
            self._give_home()

    def _give_home(self) -> None:
        """Hand homeless groups to the writer, in order, as far as the disk takes them."""
        groups = self._homeless
        store = self._current
        if store is None or self._writer.is_stuck:  # What the writer holds is counted nowhere.
            return
        held = self._held[store]
        batch: list[Group] = []
        while groups and self._stored_bytes < self._max_bytes:
            group = groups.popleft()
            if group.unconfirmed == 0:
                continue
            group.home = store
            held.groups += 1
            held.bytes += group.size
            self._stored_bytes += group.size
            batch.append(group)
        if not batch:
            return
        held.peak_bytes = max(held.peak_bytes, held.bytes)
        self._fresh.extend(batch)
        self._is_tried = True
        sync_now = self._kafka_is_slow and not self._sync_in_flight
        self._writer.write(store, batch, held.next_done(), sync_through=batch[-1].seq if sync_now else 0)
        self._sync_in_flight |= sync_now
        self._arm_sync()

    def _expire(self) -> None:
        """Let go the replies that have waited as long as they may."""
        oldest = self._loop.time() - self._reply_deadline
        waiting = self._waiting
        while waiting and (waiting[0].begun <= oldest or waiting[0].synced or waiting[0].unconfirmed == 0):
            for entry in waiting.popleft().entries:
                entry.settle(False)
        self._expiry_timer = self._loop.call_later(EXPIRY_INTERVAL, self._expire)

    # -- Kafka confirms ------------------------------------------------------------------------------------------------

    def confirm(self, entries: Iterable[Entry]) -> None:
        """Kafka confirmed these records."""
        for entry in entries:
            if entry.confirmed:
                continue
            entry.confirmed = True
            entry.settle(True)
            group = entry.group
            group.unconfirmed -= 1
            if group.unconfirmed == 0:
                self._complete(group)

    def _complete(self, group: Group) -> None:
        self.lanes[group.topic].taken_bytes -= group.size
        group.release()
        if not group.synced:
            self._memory_bytes -= group.size
        if self._loop.time() - group.flushed < self._sync_after:
            self._kafka_is_slow = False
        if group.home is not None:
            held = self._held[group.home]
            held.groups -= 1
            held.bytes -= group.size
            held.done.append(group.seq)
            self._stored_bytes -= group.size
            self._plan_cleanup()

    def _plan_cleanup(self) -> None:
        if self._cleanup_timer is None:
            self._cleanup_timer = self._loop.call_later(CLEANUP_DELAY, self._clean_up)

    def _clean_up(self) -> None:
        """Delete the rows of complete groups, and files that are drained."""
        if self._cleanup_timer is not None:
            self._cleanup_timer.cancel()
            self._cleanup_timer = None
        self._give_home()
        for store, held in list(self._held.items()):
            is_current = store is self._current
            if is_current and held.groups == 0 and held.peak_bytes > REPLACE_ABOVE_BYTES:
                self._retire()
                self._reopen()
            elif not is_current and held.groups == 0 and self._current is not None:
                del self._held[store]
                self._writer.run_in_steps(store.remove_in_steps())
                log.info("the journal %s is drained and removed", store.path.name)
            elif held.done:
                self._writer.write(store, done=held.next_done())
                if held.done:
                    self._plan_cleanup()

    # -- Kafka is slow: sync -------------------------------------------------------------------------------------------

    def _arm_sync(self) -> None:
        drop_complete(self._fresh)
        if self._fresh and self._sync_timer is None and not self._sync_in_flight:
            patience = 0.0 if self._kafka_is_slow else self._sync_after
            self._sync_timer = self._loop.call_at(self._fresh[0].flushed + patience, self._sync)

    def _sync(self) -> None:
        self._sync_timer = None
        drop_complete(self._fresh)
        if not self._fresh or self._current is None:
            return
        if self._fresh[0].flushed + self._sync_after > self._loop.time() and not self._kafka_is_slow:
            self._arm_sync()
            return
        self._kafka_is_slow = True
        self._sync_in_flight = True
        self._writer.write(self._current, sync_through=self._fresh[-1].seq)

    def _synced(self, store: Store, through: int) -> None:
        """A sync covers the groups of `store` up to sequence number `through`."""
        self._sync_in_flight = False
        while self._fresh and self._fresh[0].seq <= through and self._fresh[0].home is store:
            group = self._fresh.popleft()
            if group.unconfirmed:
                group.synced = True
                self._memory_bytes -= group.size
                for entry in group.entries:
                    entry.settle(True)
                self.lanes[group.topic].settle(group)
        self._arm_sync()

    # -- Files ---------------------------------------------------------------------------------------------------------

    @property
    def disk_ok(self) -> bool:
        """Whether the disk takes records at present."""
        return self._current is not None and self._stored_bytes < self._max_bytes and not self._writer.is_stuck

    @property
    def is_drained(self) -> bool:
        """Whether Kafka confirmed everything."""
        return not self._gathering and all(lane.is_empty and not lane.taken_bytes for lane in self.lanes.values())

    @property
    def state(self) -> JournalState:
        """Figures for readiness and metrics."""
        return JournalState(
            disk_ok=self.disk_ok,
            stored_bytes=self._stored_bytes,
            memory_bytes=self._memory_bytes,
        )

    def _inherit(self, store: Store, backlogs: list[Backlog]) -> None:
        held = self._held[store] = Held()
        for backlog in backlogs:
            held.groups += backlog.groups
            held.bytes += backlog.bytes
            self._stored_bytes += backlog.bytes
            self.lane(backlog.topic).inherit(store, backlog.last_seq)
            log.info("took over %d records of %s from the journal %s", backlog.records, backlog.topic, store.path.name)

    async def _open_current(self) -> None:
        try:
            store = await self._writer.call(lambda: Store.create(self.folder))
        except (OSError, sqlite3.Error) as error:
            if self._throttle.admits(str(error)):
                log.error(
                    "no journal can be written in %s (%s); until it can, only Kafka acknowledges", self.folder, error
                )
            return
        self._held[store] = Held()
        self._current = store
        self._give_home()

    def _failed(self, store: Store, error: Exception) -> None:
        """A write or sync of `store` failed."""
        if store is not self._current:
            return  # Rows that could not be deleted are published again by whoever finds the file.
        log.error(
            "the journal %s failed (%s); until another can be written, only Kafka acknowledges", store.path, error
        )
        self._retire()
        self._reopen()

    def _retire(self) -> None:
        store, self._current = self._current, None
        assert store is not None
        held = self._held[store]
        self._sync_in_flight = False
        fresh = [group for group in self._fresh if group.unconfirmed]
        self._fresh.clear()
        for group in fresh:
            group.home = None
            held.groups -= 1
            held.bytes -= group.size
            self._stored_bytes -= group.size
        self._homeless.extendleft(reversed(fresh))
        self._plan_cleanup()

    def _reopen(self) -> None:
        if self._reopening is None or self._reopening.done():
            self._reopening = self._loop.create_task(self._reopen_until_it_works())

    async def _reopen_until_it_works(self) -> None:
        for wait in backoff(first=0.05, most=1.0):
            await self._open_current()
            if self._current is not None:
                log.info("the journal %s is written from now on", self._current.path.name)
                self._clean_up()
                return
            await asyncio.sleep(wait)

    async def _adopt(self) -> None:
        """Publish what processes left that are gone.

        A file must have been without an owner at two looks: its owner may be starting again, and should find it,
        because then its backlog goes before what the new process accepts.
        """
        while True:
            await asyncio.sleep(self._adopt_interval)
            try:
                await self._look_for_orphans()
            except Exception:
                log.exception("looking for journals without an owner failed; it is tried again")

    async def _look_for_orphans(self) -> None:
        unowned = frozenset(await self._adopter.call(lambda: find_unowned(self.folder)))
        lasting = sorted(unowned & self._unowned)
        for store, backlogs in await self._adopter.call(partial(take_over, self.folder, lasting)):
            self._inherit(store, backlogs)
        self._unowned = unowned

    async def _probe(self) -> None:
        """Know whether the disk still takes records even when nothing is written."""
        while True:
            self._is_tried = False
            await asyncio.sleep(PROBE_INTERVAL)
            self._give_home()
            if self._current is not None and not self._is_tried and not self._sync_in_flight:
                self._sync_in_flight = True
                self._writer.write(self._current, sync_through=self._fresh[-1].seq if self._fresh else 1)


def _close_files(files: dict[Store, Held]) -> None:
    for store, held in files.items():
        if held.groups == 0:
            store.remove()
            continue
        with contextlib.suppress(sqlite3.Error):
            store.write((), held.done, sync=True)
        store.close()
