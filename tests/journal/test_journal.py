"""What the journal does step by step, in cases that are rare: between a piece of work that was begun and its end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.journal.group_commit import LOOK_INTERVAL_S, LOOKS_PER_PROBE, PROBE_INTERVAL_S
from bridge.journal.journal import Journal
from tests.journal.model import LIMITS, World
from tests.support.outlet import ToldOutlet

WRITTEN_BY_0_1_0 = Path(__file__).with_name("written_by_0.1.0.journal")
AFTER_SYNC_S = LIMITS.sync_after_s + 0.001


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.check()
    made.end()


def test_a_probe_under_way_acknowledges_no_group_that_is_handed_over_behind_it(world: World) -> None:
    world.outlet.confirms = False
    _begin_probe(world)
    world.append("events", 0, 10)
    world.advance(0.003)
    world.step()  # It is done, and the group is not written yet.
    assert world.acknowledged == set()
    world.advance(0.1)
    _work(world)
    assert len(world.acknowledged) == 1


def test_the_row_of_a_group_stays_until_kafka_has_confirmed_all_of_its_records(world: World) -> None:
    world.outlet.confirms = False
    world.append("events", 0, 10)
    world.append("events", 1, 10)
    _sync(world)
    world.lease("events")
    world.confirm("events", 0, records=1)
    world.append("events", 0, 10)
    _sync(world)  # What is written takes deletions that are due along with it.
    world.crash(machine=True)
    world.drain()
    assert len(world.confirmed) == 3


def test_what_a_failed_file_had_not_synced_is_written_to_the_next_one_and_acknowledged(world: World) -> None:
    world.outlet.confirms = False
    world.append("events", 0, 10)
    world.disk.sync_fails = True
    _sync(world)
    assert world.acknowledged == set()
    world.disk.heal()
    for _ in range(10):
        world.advance(AFTER_SYNC_S)
        _work(world)
    assert len(world.acknowledged) == 1
    world.crash(machine=True)
    world.drain()


def test_a_failed_file_goes_when_kafka_has_all_of_it_though_a_full_disk_takes_no_other(world: World) -> None:
    world.outlet.confirms = False
    world.disk.write_fails = world.disk.takes_no_file = True
    world.append("events", 0, 10)
    _sync(world)
    world.advance(1.0)
    _work(world)
    assert list(world.folder.glob("*.journal"))  # It may have rows, and memory is all else that has them.
    world.lease("events")
    world.confirm("events", 0, records=1)
    world.advance(1.0)
    _work(world)
    assert not list(world.folder.glob("*.journal"))
    world.drain()


def test_rows_that_nobody_synced_outlive_a_graceful_stop_while_no_file_can_be_written(world: World) -> None:
    world.outlet.confirms = False
    world.disk.sync_fails = world.disk.takes_no_file = True
    world.append("events", 0, 10)
    _sync(world)
    assert not world.journal.state.disk_ok
    world.stop(machine=False)
    world.drain()
    assert len(world.confirmed) == 1


def test_a_disk_that_hangs_is_not_asked_again_and_again_where_the_file_is(world: World) -> None:
    world.writer.hangs = True
    for _ in range(20):
        world.advance(PROBE_INTERVAL_S)
    assert world.writer._queue.qsize() <= 1 + LOOKS_PER_PROBE


def test_a_record_that_was_not_durable_in_time_is_published_all_the_same(world: World) -> None:
    world.outlet.confirms = True
    world.writer.hangs = True
    world.append("events", 0, 10)
    world.advance(LIMITS.reply_deadline_s)
    assert [sent.resolved for sent in world.sent.values()] == [False]
    world.drain()
    assert len(world.confirmed) == 1


def test_while_kafka_confirms_in_time_nothing_is_written(world: World) -> None:
    world.append("events", 0, 10)
    world.advance(0.003)
    world.lease("events")
    world.confirm("events", 0, records=1)
    world.advance(LOOK_INTERVAL_S / 2)
    assert not world.step()
    assert len(world.acknowledged) == 1


def test_the_journal_tells_how_much_of_its_disk_budget_is_used(world: World) -> None:
    world.outlet.confirms = False
    assert world.journal.fraction_used == 0.0
    world.append("events", 0, 1_000)
    _sync(world)
    state = world.journal.state
    assert 0.0 < world.journal.fraction_used == state.stored_bytes / LIMITS.max_bytes
    world.drain()
    assert world.journal.fraction_used == 0.0


def test_a_graceful_stop_keeps_what_came_when_nobody_knew_yet_that_the_journal_was_removed(world: World) -> None:
    _begin_probe(world)
    world.vanish(with_folder=True)
    world.append("events", 0, 10)
    world.stop()
    world.drain()
    assert len(world.confirmed) == 1


def test_what_comes_while_another_file_is_made_for_one_that_was_removed_is_taken_and_acknowledged(world: World) -> None:
    world.outlet.confirms = False
    world.append("events", 0, 10)
    _sync(world)
    world.vanish(with_folder=True)
    world.advance(LOOK_INTERVAL_S)
    _work(world)
    assert not world.journal.disk_ok, "it has looked, and has no file now"
    world.append("events", 0, 10)
    assert len(world.sent) == 2, "refused, it would be lost to the platform, which does not repeat it"
    for _ in range(3):
        world.advance(0.1)
        _work(world)
    assert len(world.acknowledged) == 2


def test_where_no_other_file_can_be_made_for_one_that_was_removed_nothing_is_taken_any_more(world: World) -> None:
    world.outlet.confirms = False
    world.disk.takes_no_file = True
    world.vanish(with_folder=True)
    world.advance(LOOK_INTERVAL_S)
    _work(world)
    world.advance(0.1)
    _work(world)
    world.append("events", 0, 10)
    assert not world.sent


@pytest.mark.parametrize("steps", range(16))
def test_a_graceful_stop_at_any_moment_of_copying_a_journal_that_was_removed_keeps_all_of_it(
    steps: int, world: World
) -> None:
    world.outlet.confirms = False
    world.append("events", 0, 10)
    _sync(world)
    world.vanish(with_folder=True)
    world.append("events", 0, 10)
    world.advance(0.1)
    _work(world)
    world.advance(1.0)
    for _ in range(steps):
        world.step()
    world.stop()
    world.drain()
    assert len(world.confirmed) == 2


async def test_a_journal_that_version_0_1_0_wrote_is_taken_over_and_published(tmp_path: Path) -> None:
    shutil.copy(WRITTEN_BY_0_1_0, tmp_path / "00000000000000000001-host-1-0123abcd.journal")
    journal = Journal(tmp_path, LIMITS, ToldOutlet())
    await journal.start()
    queue = journal.queue("im.events")
    groups = [await queue.lease(), await queue.lease()]
    records = [pending for group in groups if group is not None for pending in group.records]
    assert [pending.record.value for pending in records] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert {pending.record.key for pending in records} == {b"ann"}
    journal.confirm(records)
    assert journal.is_drained
    await journal.stop(10.0)
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - of a test


def _sync(world: World) -> None:
    """Let what was appended be written and synced, if the disk lets it."""
    world.advance(0.003)
    _work(world)
    world.advance(AFTER_SYNC_S)
    _work(world)


def _begin_probe(world: World) -> None:
    """The writer has taken up the sync of a probe, and not done it yet."""
    world.advance(PROBE_INTERVAL_S + 0.001)
    for _ in range(LOOKS_PER_PROBE):
        world.step()
        world.step()
    world.step()


def _work(world: World) -> None:
    while world.step():
        pass
