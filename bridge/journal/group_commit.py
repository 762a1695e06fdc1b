"""Group commit: one sync of the disk makes all groups durable that wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bridge.journal.files import JournalFiles
from bridge.journal.groups import Group, GroupState, drop_complete
from bridge.journal.late_timer import LateTimer
from bridge.journal.outlet import Outlet
from bridge.journal.patience import Patience
from bridge.journal.record import pack
from bridge.journal.store import Row, Store
from bridge.journal.writer import JournalWriter

LOOK_INTERVAL_S = 0.5
"""How often we look whether the file is still in its place. Until we see that it is not, what was acknowledged by it
would be lost with the process."""
LOOKS_PER_PROBE = 4
PROBE_INTERVAL_S = LOOK_INTERVAL_S * LOOKS_PER_PROBE


class GroupCommit:
    """Brings groups to disk that Kafka does not confirm at once.

    Kafka has half of our patience to confirm a group before it is written, and all of it before it is synced. Once it
    was too slow, every group is written at once, and synced as soon as the disk has finished the sync before; that
    ends with a group that Kafka confirms in time again.

    What holds at all times: `_unwritten` and `_unsynced` have the groups in these states in the order of their sequence
    numbers (and complete ones, until they are met), all of `_unsynced` before all of `_unwritten`. What is unsynced was
    handed to the current file.

    Args:
        loop: the event loop.
        files: where groups are written to.
        writer: the thread that does it.
        outlet: asked whether Kafka is confirming.
        patience: how long Kafka has from a group's flush.
        on_synced: called with each group, in order, that the disk holds for good, unless Kafka confirmed it before.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        files: JournalFiles,
        writer: JournalWriter,
        outlet: Outlet,
        patience: Patience,
        on_synced: Callable[[Group], None],
    ) -> None:
        self._loop = loop
        self._files = files
        self._writer = writer
        self._outlet = outlet
        self._patience = patience
        self._on_synced = on_synced
        self._unwritten: deque[Group] = deque()
        self._unsynced: deque[Group] = deque()
        self._kafka_is_slow = False
        self._syncing: Store | None = None
        """The file whose sync is on its way."""
        self._is_tried = False
        """Whether the disk was written to since the last probe."""
        self._write_timer = LateTimer(loop, self._write_unconfirmed)
        self._sync_timer = LateTimer(loop, self._sync_if_due)
        self._probing: asyncio.Task[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Look at the disk now and then, also when nothing is written."""
        self._probing = self._loop.create_task(self._probe())

    def stop(self) -> None:
        """Sync nothing more of our own accord: whoever closes the files does."""
        self._is_stopped = True
        self._write_timer.cancel()
        self._sync_timer.cancel()
        if self._probing is not None:
            self._probing.cancel()

    @property
    def unwritten(self) -> Iterator[Group]:
        """The groups that no file holds, and Kafka has not confirmed."""
        return (group for group in self._unwritten if group.state is not GroupState.COMPLETE)

    # -- Writing -------------------------------------------------------------------------------------------------------

    def add(self, group: Group) -> None:
        """Take a group that was offered to Kafka just now. `schedule` must follow."""
        self._unwritten.append(group)

    def schedule(self) -> None:
        """Write what was added: at once, or when Kafka has had its time."""
        if self._kafka_is_slow or not self._outlet.confirms:
            self.write_pending()
        elif not self._write_timer.is_started:
            self._write_timer.start_at(self._loop.time() + self._write_after_s)

    def _write_unconfirmed(self) -> None:
        """Write the groups that Kafka should have confirmed by now."""
        drop_complete(self._unwritten)
        if not self._unwritten:
            return
        due = self._unwritten[0].flushed + self._write_after_s
        if due > self._loop.time() and not self._kafka_is_slow and self._outlet.confirms:
            self._write_timer.start_at(due)
        else:
            self.write_pending()

    def write_pending(self) -> None:
        """Hand unwritten groups to the writer, in order, as far as the disk takes them."""
        file = self._files.current
        if file is None or self._writer.is_stuck:  # What a stuck writer holds is counted nowhere.
            return
        groups: list[Group] = []
        while self._unwritten and self._files.budget.has_room:
            group = self._unwritten.popleft()
            if group.state is not GroupState.COMPLETE:
                self._files.add(group)
                groups.append(group)
        if not groups:
            return
        self._unsynced.extend(groups)
        self._is_tried = True
        sync_through = None
        if self._kafka_is_slow and not self._is_syncing:
            self._syncing = file.store
            sync_through = groups[-1].seq
        self._writer.write(file.store, partial(_rows_of, groups), file.pop_deletable(), sync_through=sync_through)
        self._schedule_sync()

    def file_failed(self) -> None:
        """The current file failed: what it had not synced is unwritten again."""
        lost = [group for group in self._unsynced if group.state is not GroupState.COMPLETE]
        self._unsynced.clear()
        for group in lost:
            self._files.unassign(group)
        self._unwritten.extendleft(reversed(lost))

    @property
    def has_unwritten(self) -> bool:
        """Whether there are groups that no file holds, and Kafka neither."""
        drop_complete(self._unwritten)
        return bool(self._unwritten)

    # -- Syncing -------------------------------------------------------------------------------------------------------

    def confirmed(self, group: Group) -> None:
        """Kafka has confirmed the group as a whole: in time, or too late?"""
        if self._patience.confirmed_after(self._loop.time() - group.flushed):
            self._kafka_is_slow = False

    def synced(self, store: Store, through: int) -> None:
        """A sync of a file covers the groups up to sequence number `through`.

        They are all in that file: one that failed has had its groups taken back, and reports no sync any more.
        """
        if self._syncing is store:
            self._syncing = None
        unsynced = self._unsynced
        while unsynced and unsynced[0].seq <= through:
            group = unsynced.popleft()
            if group.state is not GroupState.COMPLETE:
                group.become(GroupState.SYNCED)
                self._on_synced(group)
        self._schedule_sync()

    def _schedule_sync(self) -> None:
        drop_complete(self._unsynced)
        if not self._unsynced or self._sync_timer.is_started or self._is_syncing or self._is_stopped:
            return
        if self._kafka_is_slow:
            self._sync_timer.start_at(self._loop.time(), rounds=0)
        else:
            self._sync_timer.start_at(self._unsynced[0].flushed + self._patience.seconds)

    @property
    def _write_after_s(self) -> float:
        return self._patience.seconds / 2

    @property
    def _is_syncing(self) -> bool:
        current = self._files.current
        return current is not None and self._syncing is current.store

    def _sync_if_due(self) -> None:
        drop_complete(self._unsynced)
        if not self._unsynced or self._files.current is None:
            return
        if self._unsynced[0].flushed + self._patience.seconds > self._loop.time() and not self._kafka_is_slow:
            self._schedule_sync()
            return
        self._kafka_is_slow = True
        self._sync(self._files.current.store)

    def _sync(self, store: Store) -> None:
        self._syncing = store
        self._writer.write(store, sync_through=self._unsynced[-1].seq if self._unsynced else 0)

    async def _probe(self) -> None:
        """Know whether the disk still takes records even when nothing is written."""
        while True:
            self._is_tried = False
            for _ in range(LOOKS_PER_PROBE):
                await asyncio.sleep(LOOK_INTERVAL_S)
                if self._files.current is not None and not self._writer.is_stuck:
                    self._writer.look_after(self._files.current.store)
            self.write_pending()
            file = self._files.current
            if file is not None and not self._is_tried and not self._is_syncing:
                self._sync(file.store)


def _rows_of(groups: Sequence[Group]) -> Iterator[Row]:
    """The rows of some groups, each made when its turn to be written comes.

    A group that Kafka confirmed meanwhile has no records any more, and needs no row.
    """
    for group in groups:
        if records := group.records:
            packed = pack([pending.record for pending in records])
            yield Row(group.seq, group.topic, len(records), group.size, packed)
