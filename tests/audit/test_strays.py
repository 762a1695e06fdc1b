"""Marks in memory that nobody will ever read are removed, and no others."""

from __future__ import annotations

import gc
import os
import shutil
import time
from pathlib import Path

import pytest

from bridge.audit import marks
from bridge.audit.folder import FOLDER
from bridge.audit.marks import LifeMarks
from bridge.audit.strays import KEEP_S, remove_strays
from bridge.journal.numbering import LEAST_RING
from common.audit.header import Life
from tests.audit.claims import begin, killed, take


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr("bridge.audit.ledger.SHARED_MEMORY", folder)
    return folder


def test_of_a_killed_process_whose_folder_is_gone_they_are_removed(memory: Path, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        killed(lambda name=name: take(begin(tmp_path / name), 5))  # type: ignore[misc]
        shutil.rmtree(tmp_path / name)
    assert len(list(memory.iterdir())) == 3
    assert remove_strays(memory) == 3
    assert not list(memory.iterdir())


def test_so_are_those_of_a_ledger_that_is_another_by_now(memory: Path, tmp_path: Path) -> None:
    killed(lambda: take(begin(tmp_path / "journal"), 5))
    (ledger,) = (tmp_path / "journal" / FOLDER).glob("*.ledger")
    ledger.rename(tmp_path / "kept")  # So that its inode is not given again.
    ledger.write_bytes(b"")
    assert remove_strays(memory) == 1


def test_those_that_a_successor_will_read_stay(memory: Path, tmp_path: Path) -> None:
    killed(lambda: take(begin(tmp_path / "journal"), 5, 1))
    assert remove_strays(memory) == 0
    (end,) = begin(tmp_path / "journal").ends.values()
    assert end.topics["im.events"].is_exact


def test_those_of_a_process_that_lives_stay_though_its_folder_is_gone(memory: Path, tmp_path: Path) -> None:
    claimed = begin(tmp_path / "journal")
    shutil.rmtree(tmp_path / "journal")
    assert remove_strays(memory) == 0
    assert claimed.marks.path is not None
    assert claimed.marks.path.exists()


def days_pass(path: Path) -> None:
    os.utime(path, (before := time.time() - 2 * KEEP_S, before))


def test_those_whose_ledger_alone_is_gone_wait_a_day_for_whoever_comes(memory: Path, tmp_path: Path) -> None:
    killed(lambda: take(begin(tmp_path / "journal"), 5))
    shutil.rmtree(tmp_path / "journal" / FOLDER)
    assert remove_strays(memory) == 0
    days_pass(next(memory.iterdir()))
    assert remove_strays(memory) == 1


def test_those_of_which_nothing_can_be_told_here_are_removed_a_day_after_their_process_ended(memory: Path) -> None:
    """Of a container that sees other files, and of a version that did not say which ledger they belong to."""
    description = b'{"process":"a","epoch":1,"size":65536,"topics":["im.events"]'
    (memory / "im-bridge-f-a-1").write_bytes(description + b"}")
    (memory / "im-bridge-f-b-1").write_bytes(description + b',"ledger":"/x/audit/b.ledger","mounts":"mnt:[1]"}')
    lives = LifeMarks.create(memory / "im-bridge-f-c-1", Life("c", 1), ["im.events"], LEAST_RING)
    assert remove_strays(memory) == 0
    for path in memory.iterdir():
        days_pass(path)
    assert remove_strays(memory) == 2
    assert list(memory.iterdir()) == [lives.path]
    lives.touch()
    del lives
    gc.collect()
    assert remove_strays(memory) == 0, "it lived until now"


def test_those_of_a_process_that_sees_other_files_stay(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has other files under the same paths, and may share the memory."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(marks, "mounts", lambda: "mnt:[1]")
        LifeMarks.create(memory / "im-bridge-f-a-1", Life("a", 1), ["im.events"], LEAST_RING, Path("/nowhere/a.ledger"))
    assert remove_strays(memory) == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 9000], ids=["empty", "JSON", "zeros"])
def test_what_is_none_of_ours_stays(memory: Path, content: bytes) -> None:
    (memory / "im-bridge-f-a-1").write_bytes(content)
    (memory / "other").write_bytes(content)
    (memory / "im-bridge-a-link").symlink_to(memory / "other")
    assert remove_strays(memory) == 0
    assert len(list(memory.iterdir())) == 3
