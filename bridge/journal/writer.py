"""Threads for file work: the event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from bridge import metrics
from bridge.journal.store import Row, Store

log = logging.getLogger(__name__)

T = TypeVar("T")
STUCK_AFTER_S = 1.0

Work = Callable[[], None]


class FileThread:
    """Does file work in a thread of its own, in the order in which it was asked. All methods are called on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._queue: queue.SimpleQueue[Work | WriteRequest | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._busy_since: float | None = None

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
        return since is not None and time.monotonic() - since > STUCK_AFTER_S

    async def call(self, function: Callable[[], T]) -> T:
        """The result of `function`, called in the thread; what it raises is raised here."""
        future: asyncio.Future[T] = self._loop.create_future()

        def finish(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def work() -> None:
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
                self._hand_over(finish, None, error)
            else:
                self._hand_over(finish, result, None)

        self._queue.put(work)
        return await future

    def run_in_steps(self, steps: Iterator[None]) -> None:
        """Run it to its end, other work between its steps; what it raises is logged."""

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

    # -- In the thread -------------------------------------------------------------------------------------------------

    def _hand_over(self, finish: Callable[[T | None, Exception | None], None], *outcome: Any) -> None:
        # The disk may answer when the loop has ended, and nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(finish, *outcome)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            self._busy_since = time.monotonic()
            work()
            self._busy_since = None

    def _next(self) -> Work | None:
        """What is to be done next, waited for; None: nothing any more."""
        work = self._queue.get()
        assert not isinstance(work, WriteRequest)
        return work


class WriteRequest(NamedTuple):
    """What one transaction is to do with a file."""

    store: Store
    rows: Callable[[], Iterable[Row]] | None
    """Called in the thread, when their turn comes: the rows to add."""
    deleted: Sequence[int]
    """Sequence numbers of rows to delete."""
    sync_through: int | None
    """A sync is wanted that covers the rows up to this sequence number; None: no sync is wanted."""


class JournalWriter(FileThread):
    """A file thread that also writes: what waits for one file is written together, as one transaction.

    Args:
        loop: the event loop.
        on_synced: called on the loop with the file and the sequence number up to which it is synced.
        on_failed: called on the loop when a write or sync of a file failed. Nothing is added to it any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_synced: Callable[[Store, int], None],
        on_failed: Callable[[Store, Exception], None],
    ) -> None:
        super().__init__(loop, "journal-writer")
        self._on_synced = on_synced
        self._on_failed = on_failed
        self._next_work: deque[Work | WriteRequest | None] = deque(maxlen=1)
        """What came out of the queue behind writes that are done together, and is not one of them."""

    def write(
        self,
        store: Store,
        rows: Callable[[], Iterable[Row]] | None = None,
        deleted: Sequence[int] = (),
        *,
        sync_through: int | None = None,
    ) -> None:
        """Add rows to a file, delete others, and sync if `sync_through` is given.

        A sync covers all that was written to the file so far: its rows up to sequence number `sync_through`.
        """
        self._queue.put(WriteRequest(store, rows, deleted, sync_through))

    def look_after(self, store: Store) -> None:
        """See whether a file is still in its place: else it has failed, as with a write."""
        self._queue.put(partial(self._look_after, store))

    # -- In the thread -------------------------------------------------------------------------------------------------

    def _next(self) -> Work | None:
        """What is to be done next; a write comes with those to the same file that wait right behind it."""
        first = self._next_work.pop() if self._next_work else self._queue.get()
        if not isinstance(first, WriteRequest):
            return first
        requests = [first]
        while True:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if not (isinstance(work, WriteRequest) and work.store is first.store):
                self._next_work.append(work)
                break
            requests.append(work)
        return partial(self._write, first.store, requests)

    def _write(self, store: Store, requests: Sequence[WriteRequest]) -> None:
        syncs = [request.sync_through for request in requests if request.sync_through is not None]
        if store.has_failed and (syncs or any(request.rows for request in requests)):
            return  # The loop knows, and has taken these groups back.
        began = time.perf_counter()
        try:
            store.write(
                (row for request in requests if request.rows for row in request.rows()),
                [seq for request in requests for seq in request.deleted],
                sync=bool(syncs),
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, this file cannot be trusted, and the thread goes on
            self._fail(store, error)
            return
        if syncs:
            metrics.SYNC_SECONDS.observe(time.perf_counter() - began)
            self._loop.call_soon_threadsafe(self._on_synced, store, max(syncs))

    def _look_after(self, store: Store) -> None:
        if store.has_failed:
            return
        try:
            store.check_presence()
        except Exception as error:  # noqa: BLE001 - as with a write
            self._fail(store, error)

    def _fail(self, store: Store, error: Exception) -> None:
        store.has_failed = True
        self._loop.call_soon_threadsafe(self._on_failed, store, error)
