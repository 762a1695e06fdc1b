"""A journal is read as SQLite reads it, and nothing of it is copied or changed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from bridge.journal.header import NewerFormatError, log_of
from bridge.journal.reading import JournalReader
from bridge.journal.store import DamagedError, Row, Store


def read(path: Path) -> list[tuple[int, str, int, int, bytes]]:
    with JournalReader(path) as reader:
        return [(one.seq, one.topic, one.records, one.size, one.packed()) for one in reader.groups()]


def read_by_sqlite(path: Path) -> list[tuple[int, str, int, int, bytes]]:
    """By the database itself, which changes the file."""
    store = Store.open(path)
    try:
        return [(row.seq, row.topic, row.records, row.size, row.packed) for row in store.read_all(0, 2**60)]
    finally:
        store.close()


def copied(path: Path, folder: Path) -> Path:
    """As a process that is killed at this moment leaves it."""
    folder.mkdir()
    for part in (path, log_of(path)):
        if part.exists():
            shutil.copy(part, folder / part.name)
    return folder / path.name


def write_at_random(store: Store, chance: random.Random, seq: int) -> int:
    """Some transactions of rows small and large, and of deletions. Gives the last sequence number."""
    for _ in range(chance.randrange(1, 40)):
        sizes = [chance.choice([10, 400, 3000, 4050, 4100, 9000, 70_000]) for _ in range(chance.randrange(1, 6))]
        rows = []
        for size in sizes:
            seq += 1
            rows.append(Row(seq, f"topic-{seq % 3}", chance.choice([0, 1, 200, 70_000]), size, os.urandom(size)))
        deleted = range(seq - 30, seq - 20) if chance.random() < 0.3 else ()
        store.write(rows, [one for one in deleted if one > 0], sync=chance.random() < 0.2)
    return seq


@pytest.mark.parametrize("seed", range(8))
def test_what_is_in_a_file_and_its_log_is_read_as_sqlite_reads_it_also_with_a_torn_tail(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    (folder := tmp_path / "journals").mkdir()
    store = Store.create(folder)
    seq = 0
    for round_number in range(6):
        seq = write_at_random(store, chance, seq)
        path = copied(store.path, tmp_path / f"copy-{round_number}")
        if round_number % 2 and log_of(path).exists():
            log = bytearray(log_of(path).read_bytes())
            if round_number == 3:
                del log[chance.randrange(len(log)) :]
            elif log:
                log[chance.randrange(len(log))] ^= 1
            log_of(path).write_bytes(log)
        before = {part: part.read_bytes() for part in path.parent.iterdir()}
        try:
            found = read(path)
        except DamagedError:  # Of a log that lacks what it is about: neither can SQLite read it.
            with pytest.raises(DamagedError):
                read_by_sqlite(path)
            continue
        assert {part: part.read_bytes() for part in path.parent.iterdir()} == before, "to read changes nothing"
        assert found == read_by_sqlite(path)
        assert read(path) == found, "and where it was closed well"
    store.remove()


def test_a_file_of_which_nothing_is_written_yet_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / f"{1:020d}-host-1-0123abcd.journal"
    path.touch()
    assert read(path) == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_ends_in_words_and_in_time(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    store = Store.create(tmp_path)
    write_at_random(store, chance, 0)
    store.close()
    content = bytearray(store.path.read_bytes())
    for _ in range(chance.choice([1, 5, 500])):
        content[chance.randrange(100, min(len(content), chance.choice([5000, 10**9])))] = chance.randrange(256)
    store.path.write_bytes(content)
    with contextlib.suppress(DamagedError):
        assert len(read(store.path)) < 10**6


def test_a_version_that_is_not_known_is_said(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(NewerFormatError, match="format 7, of a newer version"):
        read(store.path)
