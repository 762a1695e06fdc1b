"""The threads that touch files: in what order they work, what they write together, and what becomes of errors."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.journal.store import Row, Store
from bridge.journal.writer import JournalWriter


class Told:
    """What a writer tells."""

    def __init__(self) -> None:
        self.synced: list[int] = []
        self.failed: list[str] = []

    def on_synced(self, _store: Store, through: int) -> None:
        self.synced.append(through)

    def on_failed(self, _store: Store, error: Exception) -> None:
        self.failed.append(str(error))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def writer(told: Told) -> AsyncIterator[JournalWriter]:
    made = JournalWriter(asyncio.get_running_loop(), on_synced=told.on_synced, on_failed=told.on_failed)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.create(tmp_path)
    yield made
    made.close()


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], list[int], bool]]:
    """What is written: sequence numbers of rows, of deletions, and whether it is synced."""
    done: list[tuple[list[int], list[int], bool]] = []
    write = Store.write

    def noting(store: Store, rows: Iterator[Row], deleted: Sequence[int], *, sync: bool) -> None:
        added = list(rows)
        done.append(([row.seq for row in added], list(deleted), sync))
        write(store, added, deleted, sync=sync)

    monkeypatch.setattr(Store, "write", noting)
    return done


async def test_what_waits_for_one_file_is_one_transaction_and_one_sync_tells_of_the_last_that_was_wanted(
    writer: JournalWriter, store: Store, told: Told, transactions: list[tuple[list[int], list[int], bool]]
) -> None:
    with held(writer):
        writer.write(store, lambda: [row(1)], sync_through=1)
        writer.write(store, lambda: [row(2)], deleted=[7])
        writer.write(store, lambda: [row(3)], sync_through=3)
    await writer.call(lambda: None)
    assert transactions == [([1, 2, 3], [7], True)]
    assert told.synced == [3]


async def test_other_work_between_two_writes_is_done_between_them(
    writer: JournalWriter, store: Store, transactions: list[tuple[list[int], list[int], bool]]
) -> None:
    seen: list[int] = []
    with held(writer):
        writer.write(store, lambda: [row(1)])
        between = asyncio.ensure_future(writer.call(lambda: seen.append(len(transactions))))
        await asyncio.sleep(0)
        writer.write(store, lambda: [row(2)])
    await between
    await writer.call(lambda: None)
    assert seen == [1]
    assert [rows for rows, _, _ in transactions] == [[1], [2]]


async def test_rows_are_made_when_their_turn_comes(writer: JournalWriter, store: Store) -> None:
    rows = [row(1), row(2)]
    with held(writer):
        writer.write(store, lambda: iter(rows))
        rows.pop()  # Kafka confirmed it meanwhile.
    backlogs = await writer.call(store.backlog)
    assert [backlog.groups for backlog in backlogs] == [1]


async def test_a_file_that_failed_is_told_once_and_nothing_is_added_to_it_again(
    writer: JournalWriter, store: Store, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def fail(_store: Store, rows: Iterator[Row], deleted: Sequence[int], *, sync: bool) -> None:
        written.extend(deleted)
        if list(rows) or sync:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Store, "write", fail)
    writer.write(store, lambda: [row(1)], sync_through=1)
    await writer.call(lambda: None)
    writer.write(store, lambda: [row(2)])
    await writer.call(lambda: None)
    writer.write(store, sync_through=2)
    await writer.call(lambda: None)
    writer.write(store, deleted=[5])
    await writer.call(lambda: None)
    assert told.failed == ["disk I/O error"]
    assert told.synced == []
    assert written == [5]


async def test_what_a_call_raises_is_raised_to_whoever_called_and_the_thread_goes_on(writer: JournalWriter) -> None:
    def fail() -> None:
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        await writer.call(fail)
    assert await writer.call(lambda: 7) == 7


async def test_other_work_is_done_between_the_steps_of_a_long_one(writer: JournalWriter) -> None:
    order: list[str] = []

    def steps() -> Iterator[None]:
        for number in range(3):
            order.append(f"step {number}")
            yield

    with held(writer):
        writer.run_in_steps(steps())
        other = asyncio.ensure_future(writer.call(lambda: order.append("other")))
        await asyncio.sleep(0)
    await other
    await writer.call(lambda: None)
    assert order[:2] == ["step 0", "other"]


async def test_a_look_that_fails_in_whatever_way_is_a_failure_of_the_file_and_the_thread_goes_on(
    writer: JournalWriter, store: Store, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_store: Store) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(Store, "check_presence", fail)
    writer.look_after(store)
    assert await asyncio.wait_for(writer.call(lambda: 7), 60) == 7
    assert told.failed == ["no memory"]


async def test_a_file_that_failed_is_let_go(writer: JournalWriter, tmp_path: Path, told: Told) -> None:
    made = Store.create(tmp_path)
    made.path.unlink()
    writer.look_after(made)
    await writer.call(lambda: None)
    assert len(told.failed) == 1
    made.close()
    known = weakref.ref(made)
    del made
    await writer.call(lambda: None)  # Else the thread has its last work at hand.
    gc.collect()
    assert known() is None


@contextmanager
def held(writer: JournalWriter) -> Iterator[None]:
    """Keeps the thread of a writer busy within the block, so that what is asked for there waits."""
    go = threading.Event()

    def hold() -> Iterator[None]:
        go.wait()
        yield

    writer.run_in_steps(hold())
    yield
    go.set()


def row(seq: int) -> Row:
    return Row(seq, "t", 1, 10, b"packed")
