"""Journals are numbered: whatever the clock does, what was written first is published first."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from bridge.journal.folder import take_over
from bridge.journal.journal import Journal
from bridge.journal.journal_name import JournalName, journals_in, next_number
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.journal.model import LIMITS
from tests.support.outlet import ToldOutlet

OF_0_1_0 = f"{1_790_000_000_000_000_000:020d}-a-host.of-it-77-0123abcd.journal"


def left_behind(folder: Path, value: bytes) -> Path:
    store = Store.create(folder)
    store.write([Row(1, "t", 1, 100, pack([Record("t", b"k", value, [], 5)]))], [], sync=True)
    store.close()
    return store.path


def test_a_later_file_is_taken_over_later_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_ns = 3600 * 10**9
    paths = []
    for number in range(12):
        now_ns = time.time_ns() - number * hour_ns
        monkeypatch.setattr(time, "time_ns", lambda now_ns=now_ns: now_ns)
        monkeypatch.setattr(time, "time", lambda now_ns=now_ns: now_ns / 10**9)
        paths.append(left_behind(tmp_path, b"%d" % number))
    assert journals_in(tmp_path) == paths
    taken = take_over(tmp_path)
    assert [store.path for store, _ in taken] == paths
    for store, _ in taken:
        store.remove()


async def test_what_a_predecessor_acknowledged_goes_first_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        monkeypatch.setattr(time, "time_ns", lambda number=number: 10**18 - number)
        left_behind(tmp_path, b"%d" % number)
    journal = Journal(tmp_path, LIMITS, ToldOutlet())
    await journal.start()
    queue = journal.queue("t")
    groups = [await queue.lease() for _ in range(3)]
    records = [pending for group in groups if group is not None for pending in group.records]
    assert [pending.record.value for pending in records] == [b"0", b"1", b"2"]
    journal.confirm(records)
    await journal.stop(10.0)


def test_a_file_made_beside_one_that_is_named_by_the_clock_comes_after_it(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("written_by_0.1.0.journal"), tmp_path / OF_0_1_0)
    path = left_behind(tmp_path, b"new")
    assert journals_in(tmp_path) == [tmp_path / OF_0_1_0, path]
    assert JournalName.of(path).number == 1_790_000_000_000_000_001
    assert JournalName.of(tmp_path / OF_0_1_0) == (1_790_000_000_000_000_000, "a-host.of-it", "77")


def test_a_number_is_not_taken_again_while_a_damaged_file_has_it(tmp_path: Path) -> None:
    path = left_behind(tmp_path, b"")
    path.rename(path.with_suffix(".damaged"))
    assert next_number(tmp_path) == 2


def test_numbers_are_compared_as_numbers_and_foreign_names_count_for_nothing(tmp_path: Path) -> None:
    for name in ("9.journal", "zzz.journal", f"{10**20}-h-1-0123abcd.journal", f"{9:020d}-h-1-0123abcd.journal"):
        (tmp_path / name).touch()
    assert [path.name for path in journals_in(tmp_path)][-1] == f"{10**20}-h-1-0123abcd.journal"
    assert next_number(tmp_path) == 10**20 + 1


def test_a_process_numbers_on_though_all_its_files_are_gone_from_the_folder(tmp_path: Path) -> None:
    first = Store.create(tmp_path)
    first.path.unlink()
    second = Store.create(tmp_path, above=first.number)
    assert second.number == first.number + 1
    for store in (first, second):
        store.remove()
