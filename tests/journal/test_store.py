"""A journal file: what it keeps, whose it is, and what it says when it is damaged."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.journal.folder import MAX_TAKEN_OVER, look_through, take_over
from bridge.journal.record import Record, pack, unpack
from bridge.journal.store import DamagedError, OwnedError, Row, Store, UnavailableError


def row(seq: int, topic: str = "t", size: int = 100) -> Row:
    return Row(seq, topic, 1, size, pack([Record(topic, b"k", b"v" * size, [("h", b"x")], 5)]))


def named(number: int) -> str:
    """The name of a journal with this number."""
    return f"{number:020d}-host-1-0123abcd.journal"


def test_groups_come_back_byte_for_byte_in_order_and_by_topic(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.write([row(1), row(2, "other"), row(3)], [], sync=False)
    store.write([row(4)], [1], sync=True)
    assert [found.seq for found in store.read("t", 0, 99, 10**6)] == [3, 4]
    assert [found.seq for found in store.read("t", 3, 99, 10**6)] == [4]
    assert [found.seq for found in store.read("t", 0, 3, 10**6)] == [3]
    (other,) = store.read("other", 0, 99, 10**6)
    assert unpack(other.packed) == [Record("other", b"k", b"v" * 100, [("h", b"x")], 5)]
    store.remove()


def test_a_read_is_bounded_by_bytes_and_gives_at_least_one_group(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.write([row(number) for number in range(1, 11)], [], sync=False)
    assert len(store.read("t", 0, 99, 350)) == 4
    assert len(store.read("t", 0, 99, 1)) == 1
    store.remove()


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from tests.journal.test_store import row
from bridge.journal.store import Store
store = Store.create(Path({str(tmp_path)!r}))
store.write([row(1), row(2)], [], sync=False)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (path,) = tmp_path.glob("*.journal")
    store = Store.open(path)
    (backlog,) = store.backlog()
    assert (backlog.topic, backlog.groups, backlog.records, backlog.last_seq) == ("t", 2, 2, 2)
    store.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_large_file_loses_its_name_at_once_and_its_bytes_a_bit_at_a_time(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.write([row(number, size=1_000_000) for number in range(1, 31)], [], sync=True)
    steps = store.remove_in_steps()
    next(steps)
    assert list(tmp_path.iterdir()) == []
    assert sum(1 for _ in steps) >= 2


def test_a_file_has_one_owner_and_is_readable_by_nobody_else(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    assert store.path.stat().st_mode & 0o777 == 0o600
    code = f"from pathlib import Path; from bridge.journal.store import Store; Store.open(Path({str(store.path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert OwnedError.__name__ in other.stderr
    store.close()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("content", [b"no database" * 500, b"SQLite format 3\x00" + b"\x00" * 5000])
def test_a_file_that_is_no_journal_is_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / named(1)
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=path.name):
        Store.open(path)


def test_a_file_whose_owner_ended_while_making_it_is_empty_and_removed(tmp_path: Path) -> None:
    (tmp_path / named(1)).touch()
    store = Store.open(tmp_path / named(1))
    assert store.backlog() == []
    store.write([row(1)], [], sync=True)
    store.close()
    (tmp_path / named(2)).touch()
    ((kept, backlogs),) = take_over(tmp_path)
    assert kept.path.name == named(1)
    assert backlogs[0].records == 1
    kept.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_opened_at_present_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / named(1)
    path.touch()

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(UnavailableError, match="Too many open files"):
        Store.open(path)
    assert take_over(tmp_path) == []
    assert path.exists()


def test_a_file_of_a_format_that_never_was_is_renamed_and_leaves_no_log_behind(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from bridge.journal.store import Store
store = Store.create(Path({str(tmp_path)!r}))
store._connection.execute("PRAGMA user_version = 0")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert take_over(tmp_path) == []
    (kept,) = tmp_path.iterdir()
    assert kept.suffix == ".damaged"


def test_a_torn_tail_costs_only_what_was_torn(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from tests.journal.test_store import row
from bridge.journal.store import Store
store = Store.create(Path({str(tmp_path)!r}))
for seq in range(1, 6):
    store.write([row(seq)], [], sync=False)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    (log,) = tmp_path.glob("*-wal")
    os.truncate(log, log.stat().st_size - 100)
    (path,) = tmp_path.glob("*.journal")
    store = Store.open(path)
    assert [found.seq for found in store.read("t", 0, 99, 10**6)] == [1, 2, 3, 4]
    store.remove()


def test_of_many_files_a_few_are_held_open_and_all_is_kept_in_order(tmp_path: Path) -> None:
    expected = []
    for number in range(1, 101):
        store = Store.create(tmp_path, number=number)
        rows = [row(seq, topic=f"t{number % 2}", size=number) for seq in (3, 5)]
        store.write(rows, [], sync=False)
        expected += [(one.topic, one.packed) for one in rows]
        store.close()
    taken = take_over(tmp_path)
    assert len(taken) == MAX_TAKEN_OVER
    assert len(list(tmp_path.glob("*.journal"))) == MAX_TAKEN_OVER
    assert sum(backlog.records for _, backlogs in taken for backlog in backlogs) == 200
    found = []
    for store, _ in taken:
        rows = store.read_all(0, 10**9)
        found += [(one.topic, one.packed) for one in rows]
        store.remove()
    assert found == expected
    assert list(tmp_path.iterdir()) == []


def test_where_the_disk_takes_nothing_what_cannot_be_moved_is_left_to_be_taken_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, MAX_TAKEN_OVER + 4):
        store = Store.create(tmp_path, number=number)
        store.write([row(1)], [], sync=False)
        store.close()

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "write", fail)
    taken = take_over(tmp_path)
    assert len(taken) == MAX_TAKEN_OVER
    assert len(look_through(tmp_path).takeable) == 3
    for store, _ in taken:
        store.remove()
    monkeypatch.undo()
    later = take_over(tmp_path)
    assert [backlog.records for _, backlogs in later for backlog in backlogs] == [1, 1, 1]
    for store, _ in later:
        store.remove()


def test_a_journal_that_could_not_be_looked_into_once_can_be_taken_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path)
    store.write([row(1)], [], sync=True)
    store.close()

    def fail(_store: Store) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patches:
        patches.setattr(Store, "backlog", fail)
        assert take_over(tmp_path) == []
    assert look_through(tmp_path).takeable == [store.path]
    ((taken, _),) = take_over(tmp_path)
    taken.remove()


def test_of_two_processes_that_start_together_one_takes_each_journal_over(tmp_path: Path) -> None:
    for seq in range(3):
        store = Store.create(tmp_path)
        store.write([row(seq + 1)], [], sync=True)
        store.close()
    code = f"""
import sys
from pathlib import Path
from bridge.journal.folder import look_through, take_over
sys.stdin.readline()
print(len(take_over(Path({str(tmp_path)!r}))), flush=True)
sys.stdin.readline()
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    taken = [int(process.stdout.readline()) for process in processes if process.stdout]
    for process in processes:
        process.communicate("\n", timeout=60)
    assert sum(taken) == 3
