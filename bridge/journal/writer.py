"""A thread that does file work of the journal, in the order in which it was asked."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from bridge.journal.record import pack
from bridge.journal.store import Row, Store

if TYPE_CHECKING:
    from bridge.journal.topic_queue import Entry, Group

log = logging.getLogger(__name__)

T = TypeVar("T")
STUCK_AFTER = 1.0


class _Write(NamedTuple):
    store: Store
    groups: Sequence[Group]
    done: Sequence[int]
    sync_through: int
    """A sync is wanted that covers the groups up to this sequence number; 0: none."""


class Writer:
    """Runs file work in a thread of its own. All methods are called on the event loop.

    Args:
        on_synced: called on the loop with the file and the sequence number up to which it is synced.
        on_failed: called on the loop when a write or sync of a file failed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_synced: Callable[[Store, int], None],
        on_failed: Callable[[Store, Exception], None],
    ) -> None:
        self._loop = loop
        self._on_synced = on_synced
        self._on_failed = on_failed
        self._queue: queue.SimpleQueue[_Write | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._busy_since: float | None = None
        self._failed: set[Store] = set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it was asked so far. Does not wait: the disk may hang."""
        self._queue.put(None)

    @property
    def is_stuck(self) -> bool:
        """Whether the disk has kept the thread busy for longer than a second."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > STUCK_AFTER

    def write(
        self, store: Store, groups: Sequence[Group] = (), done: Sequence[int] = (), *, sync_through: int = 0
    ) -> None:
        """Add groups to a file, delete complete ones, and sync if `sync_through` is not 0.

        A sync covers all that was written to the file so far: its groups up to sequence number `sync_through`.
        """
        self._queue.put(_Write(store, groups, done, sync_through))

    def run_in_steps(self, steps: Iterator[None]) -> None:
        """Run it to its end in the thread, other work between its steps; what it raises is logged."""

        def step() -> None:
            try:
                next(steps)
            except StopIteration:
                return
            except Exception:
                log.exception("file work of the journal failed")
            else:
                self._queue.put(step)

        self._queue.put(step)

    async def call(self, function: Callable[[], T]) -> T:
        """The result of `function`, called in the thread."""
        future: asyncio.Future[T] = self._loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def called() -> None:
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
                self._loop.call_soon_threadsafe(settle, None, error)
            else:
                self._loop.call_soon_threadsafe(settle, result, None)

        self._queue.put(called)
        return await future

    # -- In the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        carried: _Write | Callable[[], None] | None = None
        while True:
            work = carried or self._queue.get()
            carried = None
            self._busy_since = time.monotonic()
            if work is None:
                return
            if isinstance(work, _Write):
                writes, carried = self._gather(work)
                self._write(writes)
            else:
                work()
            self._busy_since = None

    def _gather(self, first: _Write) -> tuple[list[_Write], _Write | Callable[[], None] | None]:
        """`first` and the writes to the same file that wait behind it, and the work behind these, if any."""
        writes = [first]
        while True:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return writes, None
            if not (isinstance(work, _Write) and work.store is first.store):
                return writes, work or self.stop
            writes.append(work)

    def _write(self, writes: Sequence[_Write]) -> None:
        store = writes[0].store
        sync_through = max(write.sync_through for write in writes)
        if store in self._failed and any(write.groups or write.sync_through for write in writes):
            return  # The loop knows, and has taken these groups back.
        try:
            store.write(
                # A group that Kafka confirmed meanwhile needs no row, and has no entries.
                (_row(group, entries) for write in writes for group in write.groups if (entries := group.entries)),
                [seq for write in writes for seq in write.done],
                sync=sync_through > 0,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, this file cannot be trusted, and the thread goes on
            self._failed.add(store)
            self._loop.call_soon_threadsafe(self._on_failed, store, error)
            return
        if sync_through:
            self._loop.call_soon_threadsafe(self._on_synced, store, sync_through)


def _row(group: Group, entries: Sequence[Entry]) -> Row:
    packed = pack([entry.record for entry in entries])
    return Row(group.seq, group.topic, len(entries), group.size, packed)
