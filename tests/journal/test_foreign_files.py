"""What lies in the folder of the journals and is not ours is neither opened nor changed, and holds nobody up."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.journal.folder import look_through, take_over
from bridge.journal.inspection import records_in, summaries
from bridge.journal.own_file import ForeignError
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.support.paths import ROOT

NAME = f"{7:020d}-host-1-0123abcd.journal"
Put = Callable[[Path], None]


def foreign_database(path: Path, application_id: int = 0) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.execute("INSERT INTO theirs VALUES (1)")
    connection.execute(f"PRAGMA application_id = {application_id}")
    connection.commit()
    connection.close()


def database_in_wal_mode(path: Path) -> None:
    """With all that it holds in its log: so a process leaves it that is killed."""
    whole = path.with_name("whole")
    connection = sqlite3.connect(whole)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE theirs (x)")
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{whole}{suffix}", f"{path}{suffix}")
    connection.close()
    whole.unlink()


def link_to_database(path: Path) -> None:
    foreign_database(path.with_name("theirs.db"))
    path.symlink_to(path.with_name("theirs.db"))


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def second_name(path: Path) -> None:
    foreign_database(path.with_name("theirs.db"))
    os.link(path.with_name("theirs.db"), path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)  # A whole path may be too long for a socket.


def link_to_journal_in_its_log(path: Path) -> None:
    path.touch()
    path.with_name(path.name + "-wal").symlink_to("/dev/zero")


def database_of_another_program(path: Path) -> None:
    foreign_database(path, 0x1234)


PUTS: list[Put] = [
    foreign_database,
    database_of_another_program,
    database_in_wal_mode,
    link_to_database,
    link_to_device,
    link_to_nothing,
    link_to_journal_in_its_log,
    second_name,
    bound_socket,
    Path.mkdir,
    os.mkfifo,
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal whose owner is gone, in a folder."""
    return left_behind(tmp_path)


@pytest.mark.parametrize("put", PUTS)
def test_it_is_left_as_it_is_told_once_and_the_journals_beside_it_are_taken_over(
    put: Put, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = journal.with_name(NAME)
    put(path)
    before = contents(journal.parent)
    with pytest.raises(ForeignError):
        Store.open(path)
    assert look_through(journal.parent).takeable == [journal]
    assert contents(journal.parent) == before
    ((store, _),) = take_over(journal.parent)
    assert store.path == journal
    assert look_through(journal.parent).takeable == []
    store.close()
    after = contents(journal.parent)
    assert {name: after[name] for name in before if name != journal.name} == {
        name: before[name] for name in before if name != journal.name
    }
    assert [record.message.count(NAME) for record in caplog.records if NAME in record.message] == [1]


@pytest.mark.parametrize("put", PUTS)
def test_it_is_shown_with_what_it_is_and_hides_no_journal(put: Put, journal: Path) -> None:
    path = journal.with_name(NAME)
    put(path)
    by_path = {summary.path: summary for summary in summaries(journal.parent)}
    assert by_path[journal].backlogs
    assert not by_path[path].backlogs
    assert by_path[path].problem
    with pytest.raises(ForeignError):
        list(records_in(path))


@pytest.mark.parametrize("name", ["notes.journal", "2026.journal"])
def test_a_file_that_is_no_journal_by_name_nor_content_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("dear diary")
    assert take_over(tmp_path) == []
    assert (tmp_path / name).read_text() == "dear diary"


def test_a_journal_that_somebody_renamed_is_taken_over(journal: Path) -> None:
    renamed = journal.rename(journal.with_name("saved.journal"))
    ((store, _),) = take_over(journal.parent)
    assert store.path == renamed
    store.remove()


def test_a_file_of_another_user_in_our_folder_is_left_as_it_is(journal: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(journal, 12345, -1)
    with pytest.raises(ForeignError, match="user 12345"):
        Store.open(journal)
    os.chown(journal.parent, 12345, -1)  # A rescue by root: the whole folder is of the user that the process had.
    Store.open(journal).remove()


def test_a_second_name_of_an_open_journal_does_not_free_its_lock(journal: Path) -> None:
    store = Store.open(journal)
    os.link(journal, journal.with_name(NAME))
    assert look_through(journal.parent).takeable == []
    journal.with_name(NAME).unlink()
    assert lock_holder_for_others(journal) == os.getpid()
    store.remove()


def left_behind(folder: Path) -> Path:
    store = Store.create(folder)
    store.write([Row(1, "t", 1, 100, pack([Record("t", b"k", b"v", [], 5)]))], [], sync=True)
    store.close()
    return store.path


def contents(folder: Path) -> dict[str, object]:
    """What lies in a folder, as far as it can be read without waiting."""
    return {
        path.name: path.read_bytes() if path.is_file() and not path.is_symlink() else path.lstat().st_mode
        for path in folder.iterdir()
    }


def lock_holder_for_others(path: Path) -> int:
    """What another process sees: it alone is told of our own locks."""
    imports = "from pathlib import Path; from bridge.journal.lock import lock_holder"
    script = f"{imports}; print(lock_holder(Path({str(path)!r})))"
    return int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=ROOT).stdout)
