"""The file in which the platform's networks outlast a restart."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import orjson
import pytest

from bridge.ingress import networks_file
from bridge.ingress.known_networks import ListId, NetworkList
from bridge.ingress.networks_file import FORMAT, MAX_BYTES, NAME, NetworksFile, UnusableFileError
from bridge.journal.folder import look_through, take_over
from bridge.journal.inspection import summaries

OURS = [ListId("1400000000", "5")]
LISTS = {"1400000000/5": NetworkList(1_700_000_000.5, {"203.0.113.0/24": 0, "203.0.114.7/32": 1_700_000_000.0})}


def test_what_is_written_is_read_by_another_once_each_time_that_it_changes(tmp_path: Path) -> None:
    ours, theirs = NetworksFile(tmp_path), NetworksFile(tmp_path)
    assert theirs.read_if_changed() is None
    for _ in range(2):
        ours.update(LISTS, OURS)
        assert theirs.read_if_changed() == LISTS
        assert theirs.read_if_changed() is None
        assert ours.read_if_changed() is None, "it is its own"
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "platform-networks.lock"]


def test_one_process_has_the_lock_until_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    ours, theirs = NetworksFile(folder), NetworksFile(folder)
    assert ours.try_lock(OURS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ours.try_lock(OURS)
    assert not theirs.try_lock(OURS)
    ours.unlock()
    assert theirs.try_lock(OURS)
    theirs.unlock()


def test_each_set_of_lists_has_a_lock_of_its_own_and_a_process_holds_one(tmp_path: Path) -> None:
    ours, theirs = NetworksFile(tmp_path), NetworksFile(tmp_path)
    others = [ListId("1400000009", "6"), *OURS]
    assert ours.try_lock(OURS)
    assert theirs.try_lock(others)
    assert not ours.try_lock(list(reversed(others)))
    assert theirs.try_lock(OURS), "ours has let it go"
    assert ours.try_lock(others)
    ours.unlock()
    theirs.unlock()


def test_who_writes_leaves_the_lists_that_others_have_written_since(tmp_path: Path) -> None:
    now = time.time()
    mine, former, newer = (NetworkList(now - age_s, {"203.0.113.0/24": 0}) for age_s in (0, 60, 30))
    their_lists = [ListId("1400000009", "5")]
    ours, theirs = NetworksFile(tmp_path), NetworksFile(tmp_path)
    theirs.update({"1400000009/5": newer, "1400000000/5": former}, their_lists)
    ours.update({"1400000009/5": former, "1400000000/5": mine}, OURS)
    assert theirs.read_if_changed() == {"1400000009/5": newer, "1400000000/5": mine}
    theirs.update({"1400000009/5": former, "1400000000/5": former}, their_lists)
    assert ours.read_if_changed() == {"1400000009/5": former, "1400000000/5": mine}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"\xff" * 100, "is damaged"),
        (b"[]", "is damaged"),
        (b'{"format":1}', "is damaged"),
        (b'{"format":1,"lists":{"1/5":{"answered":"x","networks":{}}}}', "is damaged"),
        (b'{"format":1,"lists":{"1/5":{"answered":-1e308,"networks":{}}}}', "is damaged"),
        (b'{"format":1,"lists":{"1/5":{"answered":1,"networks":{"0.0.0.0/0":0}}}}', "0.0.0.0/0 is too wide"),
        (b'{"format":1,"lists":{"1/5":{"answered":1,"networks":{"me":0}}}}', "is no network"),
        (orjson.dumps({"format": FORMAT + 1, "networks": []}), "was written by a newer version (its format is 2)"),
        (b" " * (MAX_BYTES + 1), "has more than"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_what_cannot_be_used_is_told_once_and_written_over(tmp_path: Path, content: bytes, told: str) -> None:
    file = NetworksFile(tmp_path)
    file.path.write_bytes(content)
    with pytest.raises(UnusableFileError) as caught:
        file.read_if_changed()
    assert told in str(caught.value)
    assert str(file.path) in str(caught.value)
    assert file.read_if_changed() is None
    file.update(LISTS, OURS)
    assert NetworksFile(tmp_path).read_if_changed() == LISTS


def test_what_would_be_too_large_to_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = NetworksFile(tmp_path)
    file.update(LISTS, OURS)
    monkeypatch.setattr(networks_file, "MAX_BYTES", file.path.stat().st_size)
    with pytest.raises(OSError, match="have more than"):
        file.update({**LISTS, "1400000001/5": LISTS["1400000000/5"]}, [*OURS, ListId("1400000001", "5")])
    assert NetworksFile(tmp_path).read_if_changed() == LISTS


def test_only_a_file_of_ours_is_read_and_no_link_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    folder.mkdir()
    elsewhere = NetworksFile(tmp_path)
    elsewhere.update(LISTS, OURS)
    file = NetworksFile(folder)
    file.path.symlink_to(elsewhere.path)
    with pytest.raises(UnusableFileError, match="a symbolic link"):
        file.read_if_changed()
    file.path.unlink()
    os.mkfifo(file.path)
    with pytest.raises(UnusableFileError, match="a pipe"):
        file.read_if_changed()
    file.path.unlink()
    file.path.mkdir()
    with pytest.raises(UnusableFileError, match="a folder"):
        file.read_if_changed()
    with pytest.raises(IsADirectoryError):
        file.update(LISTS, OURS)
    file.path.rmdir()
    assert file.try_lock(OURS)
    file.unlock()
    for lock in list(folder.glob("*.lock")):
        lock.unlink()
        lock.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        file.try_lock(OURS)
    with pytest.raises(OSError, match="symbolic links"):
        file.update(LISTS, OURS)
    assert not (tmp_path / "other").exists()


def test_a_process_that_ended_while_it_wrote_leaves_the_former_file_and_hinders_nobody(tmp_path: Path) -> None:
    file = NetworksFile(tmp_path)
    file.update(LISTS, OURS)
    (tmp_path / "platform-networks.new").write_bytes(b'{"for')
    assert NetworksFile(tmp_path).read_if_changed() == LISTS
    newer = {"1400000000/5": NetworkList(1_700_000_001.0, {"203.0.113.0/24": 0})}
    file.update(newer, OURS)
    assert NetworksFile(tmp_path).read_if_changed() == newer
    assert not (tmp_path / "platform-networks.new").exists()


def test_the_journals_in_the_folder_do_not_know_of_it(tmp_path: Path) -> None:
    file = NetworksFile(tmp_path)
    assert file.try_lock(OURS)
    file.update(LISTS, OURS)
    assert look_through(tmp_path).takeable == []
    assert take_over(tmp_path) == []
    assert list(summaries(tmp_path)) == []
    assert NetworksFile(tmp_path).read_if_changed() == LISTS
    file.unlock()
