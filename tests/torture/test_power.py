"""The power cut takes what was not synced, and nothing else."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.journal.header import log_of
from bridge.journal.store import CHECKPOINT_PAGES, Store
from tests.support.paths import ROOT
from tests.torture.power import HEADER_BYTES, cut, page_of_syncs, synced_bytes

WRITER = """
import os, signal, sys
from pathlib import Path
from bridge.journal.store import CHECKPOINT_PAGES, Row, Store
store = Store.create(Path(sys.argv[1]))
for seq, kind in enumerate(sys.argv[2], start=1):
    size = CHECKPOINT_PAGES * 4096 if kind == "C" else 3000
    store.write([Row(seq, "t", 1, size, bytes(size))], [], sync=kind == "s")
os.kill(os.getpid(), signal.SIGKILL)
"""
CALL = re.compile(r"^\d+ +(?P<name>\w+)\(\d+<(?P<path>[^>]+)>(?P<arguments>.*)\) += (?P<result>-?\d+)")
SEEDS = range(12)

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def journal(folder: Path, writes: str, *tracer: str | Path) -> Path:
    """The journal of a process that was killed after these writes.

    `s` is synced, `-` is not, and `C` is not either, but so large that SQLite makes a checkpoint after it.
    """
    subprocess.run([*tracer, sys.executable, "-c", WRITER, folder, writes], cwd=ROOT, check=False)
    (path,) = folder.glob("*.journal")
    return path


def kept(path: Path) -> list[int]:
    store = Store.open(path)
    rows = [row.seq for row in store.read("t", 0, 1_000, 10**9)]
    store.close()
    return rows


def kept_after_cuts(folder: Path, writes: str) -> list[list[int]]:
    """What is left of that journal after each of several cuts."""
    found = []
    for seed in SEEDS:
        path = journal(folder / str(seed), writes)
        cut(path, random.Random(seed))
        found.append(kept(path))
    return found


def test_what_was_synced_survives_every_cut_and_of_the_rest_a_beginning(tmp_path: Path) -> None:
    found = kept_after_cuts(tmp_path, "--s--s---")
    assert {tuple(rows[:6]) for rows in found} == {(1, 2, 3, 4, 5, 6)}
    assert [rows for rows in found if rows != list(range(1, len(rows) + 1))] == []
    assert len({len(rows) for rows in found}) > 2, "cuts differ"


def test_of_a_journal_whose_last_write_was_synced_nothing_is_cut(tmp_path: Path) -> None:
    path = journal(tmp_path, "--s")
    assert cut(path, random.Random(1)) == 0
    assert kept(path) == [1, 2, 3]


def test_a_new_journal_keeps_its_tables(tmp_path: Path) -> None:
    found = kept_after_cuts(tmp_path, "---")
    assert [rows for rows in found if rows != [1, 2, 3][: len(rows)]] == []
    assert len({len(rows) for rows in found}) > 1, "cuts differ"


def test_a_log_that_may_be_in_the_middle_of_a_checkpoint_is_left_alone(tmp_path: Path) -> None:
    path = journal(tmp_path, "s-C")
    assert log_of(path).stat().st_size > CHECKPOINT_PAGES * 4096
    assert cut(path, random.Random(1)) == 0
    assert kept(path) == [1, 2, 3]


def test_after_a_checkpoint_all_that_was_written_since_may_go_and_nothing_from_before(tmp_path: Path) -> None:
    found = kept_after_cuts(tmp_path, "s-C---")
    assert {tuple(rows[:3]) for rows in found} == {(1, 2, 3)}
    assert len({len(rows) for rows in found}) > 2, "cuts differ"


@needs_strace
@pytest.mark.parametrize("writes", ["--s--s---", "--s", "s-C", "s-C---", "s-C-s--"])
def test_what_the_cut_takes_for_synced_has_been_synced_by_the_kernel(tmp_path: Path, writes: str) -> None:
    trace = tmp_path / "trace"
    watched = "trace=pwrite64,fsync,fdatasync"
    path = journal(tmp_path / "journal", writes, "strace", "-f", "-y", "-s", "0", "-o", trace, "-e", watched)
    log = log_of(path)
    is_synced = {path: False, log: False}
    written = synced = 0
    for call in filter(None, map(CALL.match, trace.read_text().splitlines())):
        file = Path(call["path"])
        if call["name"] == "pwrite64" and file in is_synced:
            is_synced[file] = False
            if file == log:
                length, offset = (int(number) for number in call["arguments"].split(", ")[-2:])
                if offset == 0 and written:
                    assert is_synced[path], "a log begins anew only when its database is synced"
                    written = synced = 0
                written = max(written, offset + length)
        elif file in is_synced and call["result"] == "0":
            is_synced[file] = True
            synced = written if file == log else synced
    assert written > 0
    if written < CHECKPOINT_PAGES * 4096:
        taken_for_synced = synced_bytes(log.read_bytes(), page_of_syncs(path))
        assert taken_for_synced == max(synced, HEADER_BYTES)
    else:
        assert synced == written, "a checkpoint begins with a sync of the log"
