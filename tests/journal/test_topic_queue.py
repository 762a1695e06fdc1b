"""What a topic queue hands out, and what of it memory holds."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.events.envelope import EVENT_CONTENT_TYPE
from bridge.journal import topic_queue
from bridge.journal.groups import Group, GroupState
from bridge.journal.journal_file import JournalFile
from bridge.journal.numbering import number_of
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from bridge.journal.topic_queue import TopicQueue
from bridge.journal.writer import FileThread
from common.audit.header import HEADER

TOPIC = "im.events"


@pytest.fixture
async def thread() -> AsyncIterator[FileThread]:
    made = FileThread(asyncio.get_running_loop(), "test")
    made.start()
    yield made
    made.stop()


async def test_a_backlog_that_cannot_be_read_now_is_read_when_the_disk_is_well_again(
    thread: FileThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_queue, "READ_AGAIN_S", 0.001)
    store = Store.create(tmp_path)
    store.write([_row(1)], [], sync=False)
    queue = TopicQueue(TOPIC, 1024 * 1024, thread, lambda _queue, _live: None)
    queue.inherit(JournalFile(store), 1, 0)
    store._connection.execute("ALTER TABLE groups RENAME TO elsewhere")  # An OperationalError, as of a failing disk.
    leasing: asyncio.Future[Group | None] = asyncio.ensure_future(queue.lease())
    done, _ = await asyncio.wait([leasing], timeout=0.05)
    assert not done
    store._connection.execute("ALTER TABLE elsewhere RENAME TO groups")
    group = await asyncio.wait_for(leasing, 60)
    assert group is not None
    assert group.seq == 1
    store.close()


async def test_a_row_that_cannot_be_read_any_more_stays_in_the_file_and_holds_up_no_other(
    thread: FileThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.create(tmp_path)
    rows = [_row(1), Row(2, TOPIC, 1, 10, b"\xc1 no records"), _row(3), _row(4)._replace(packed=pack([])), _row(5)]
    store.write(rows, [], sync=False)
    file = JournalFile(store)
    queue = TopicQueue(TOPIC, 1024 * 1024, thread, lambda _queue, _live: None)
    queue.inherit(file, 5, 0)
    assert [group.seq for group in await _all_of(queue)] == [1, 3, 5]
    assert "Their rows are 2, 4" in caplog.text
    assert [row.seq for row in store.read(TOPIC, 1, 2, 1)] == [2]
    store.close()


async def test_of_a_file_that_is_damaged_in_places_all_the_rest_is_read(
    thread: FileThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.create(tmp_path)
    store.write([_row(seq, size=5000) for seq in range(1, 301)], [], sync=True)
    store.close()
    content = bytearray(store.path.read_bytes())
    page_bytes = 4096
    hurt = content.index(b"x" * 4000, len(content) // 2) // page_bytes  # The rest of a row, on a page of its own.
    leaf = next(page for page in range(hurt, 0, -1) if content[page * page_bytes] == 0x0D)
    content[leaf * page_bytes : leaf * page_bytes + 8] = b"\xff" * 8
    store.path.write_bytes(content)
    store = Store.open(store.path)
    queue = TopicQueue(TOPIC, 1024 * 1024 * 100, thread, lambda _queue, _live: None)
    queue.inherit(JournalFile(store), 300, 0)
    found = [group.seq for group in await _all_of(queue, limit=400)]
    assert 250 < len(found) < 300
    assert found == sorted(found)
    assert {1, 300} <= set(found)
    assert "cannot be read any more" in caplog.text
    store.close()


async def test_a_backlog_comes_before_what_is_live_and_each_group_comes_once(
    thread: FileThread, tmp_path: Path
) -> None:
    store = Store.create(tmp_path)
    store.write([_row(1), _row(2)], [], sync=False)
    available: list[bool] = []
    queue = TopicQueue(TOPIC, 1024 * 1024, thread, lambda _queue, live: available.append(live))
    queue.offer(_live(8))
    queue.inherit(JournalFile(store), 2, 0)
    assert available == [True, False]
    leased = await _all_of(queue)
    assert [group.seq for group in leased] == [1, 2, 8]
    drained_before = queue.is_drained
    for group in leased:
        queue.confirmed(group)
    assert (drained_before, queue.is_drained) == (False, True)
    store.close()


async def test_no_more_is_leased_than_the_read_ahead_until_kafka_confirms(thread: FileThread) -> None:
    queue = TopicQueue(TOPIC, 1500, thread, lambda _queue, _live: None)
    for seq in (1, 2, 3):
        queue.offer(_live(seq, size=600))
    first, second = await queue.lease(), await queue.lease()
    assert first is not None
    assert second is not None
    assert await queue.lease() is None
    queue.confirmed(first)
    third = await queue.lease()
    assert third is not None
    assert third.seq == 3


async def test_what_is_synced_beyond_the_read_ahead_leaves_memory_and_is_read_again_in_its_turn(
    thread: FileThread, tmp_path: Path
) -> None:
    store = Store.create(tmp_path)
    file = JournalFile(store)
    groups = [_live(seq, size=600) for seq in (1, 2, 3)]
    store.write([_row(group.seq, size=600) for group in groups], [], sync=True)
    queue = TopicQueue(TOPIC, 1500, thread, lambda _queue, _live: None)
    for group in groups:
        queue.offer(group)
        group.file = file
        group.become(GroupState.UNSYNCED)
        group.become(GroupState.SYNCED)
    for group in groups:
        queue.synced(group)
    assert [bool(group.records) for group in groups] == [True, False, False]
    (first,) = await _all_of(queue, limit=1)
    queue.confirmed(first)
    assert [group.seq for group in (first, *await _all_of(queue))] == [1, 2, 3]
    store.close()


async def test_a_group_that_is_leased_already_stays_in_memory_when_it_is_synced(thread: FileThread) -> None:
    queue = TopicQueue(TOPIC, 1500, thread, lambda _queue, _live: None)
    group = _live(1, size=600)
    queue.offer(group)
    assert await queue.lease() is group
    queue.synced(group)
    assert group.records
    assert await queue.lease() is None


async def _all_of(queue: TopicQueue, limit: int = 99) -> list[Group]:
    """What it hands out before it has nothing, or gives nothing more."""
    leased: list[Group] = []
    while len(leased) < limit and (group := await queue.lease()) is not None:
        leased.append(group)
    return leased


def _row(seq: int, size: int = 10) -> Row:
    record = Record(TOPIC, b"k", b"x" * size, [], 0)
    return Row(seq, TOPIC, 1, size, pack([record]))


def _live(seq: int, size: int = 10) -> Group:
    group = Group(TOPIC, 0.0)
    group.add(Record(TOPIC, b"k", b"x" * size, [], 0), None)
    group.seq = seq
    group.become(GroupState.UNWRITTEN)
    return group


async def test_what_is_read_back_takes_little_more_memory_than_its_bytes(thread: FileThread, tmp_path: Path) -> None:
    number, records = 0, 4000
    store = Store.create(tmp_path)
    for seq in range(1, records // 8 + 1):
        group = []
        for _ in range(8):
            number += 1
            headers = [EVENT_CONTENT_TYPE, (HEADER, b"73f3b0a3/1795712093/%d" % number)]
            group.append(Record(TOPIC, b"account-%d" % number, b"x" * 600, headers, 1_795_712_093_000 + number))
        store.write([Row(seq, TOPIC, 8, sum(one.size for one in group), pack(group))], [], sync=False)
    queue = TopicQueue(TOPIC, 100 * 2**20, thread, lambda _queue, _live: None)
    queue.inherit(JournalFile(store), records // 8, 0)
    gc.collect()
    tracemalloc.start()
    leased = await _all_of(queue, limit=records)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(group.records) for group in leased) == records
    assert taken < 1.1 * sum(group.memory_bytes for group in leased)
    assert leased[0].records[0].record.headers[0] is EVENT_CONTENT_TYPE
    assert number_of(leased[-1].records[-1].record) == ("73f3b0a3", 1795712093, records)
    store.close()
