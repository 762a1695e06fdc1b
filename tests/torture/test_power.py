"""The power cut takes what was not synced, and nothing else."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from bridge.journal.store import Store
from tests.torture.power import cut

WRITER = """
import os, signal, sys
from pathlib import Path
from bridge.journal.store import Row, Store
store = Store.create(Path(sys.argv[1]))
for seq, sync in enumerate(sys.argv[2], start=1):
    store.write([Row(seq, "t", 1, 100, bytes(3000))], [], sync=sync == "s")
os.kill(os.getpid(), signal.SIGKILL)
"""


def journal(folder: Path, writes: str) -> Path:
    """The journal of a process that was killed after these writes: `s` synced, `-` not."""
    subprocess.run([sys.executable, "-c", WRITER, folder, writes], check=False)
    (path,) = folder.glob("*.journal")
    return path


def kept(path: Path) -> list[int]:
    store = Store.open(path)
    rows = [row.seq for row in store.read("t", 0, 1_000, 10**9)]
    store.close()
    return rows


def test_what_was_synced_survives_every_cut(tmp_path: Path) -> None:
    lengths = set()
    for seed in range(12):
        path = journal(tmp_path / str(seed), "--s--s---")
        assert cut(path, random.Random(seed)) >= 0
        rows = kept(path)
        assert rows[:6] == [1, 2, 3, 4, 5, 6]
        assert rows == list(range(1, len(rows) + 1)), "what is kept is a beginning"
        lengths.add(len(rows))
    assert len(lengths) > 2, "cuts differ"


def test_of_a_journal_whose_last_write_was_synced_nothing_is_cut(tmp_path: Path) -> None:
    path = journal(tmp_path, "--s")
    assert cut(path, random.Random(1)) == 0
    assert kept(path) == [1, 2, 3]


def test_a_new_journal_keeps_its_tables(tmp_path: Path) -> None:
    path = journal(tmp_path, "---")
    cut(path, random.Random(3))
    assert kept(path) in ([], [1], [1, 2], [1, 2, 3])


def test_a_log_that_may_be_in_a_checkpoint_is_left_alone(tmp_path: Path) -> None:
    path = journal(tmp_path, "s" + "-" * 2000)
    size = path.with_name(path.name + "-wal").stat().st_size
    assert cut(path, random.Random(1)) in range(size)
    assert kept(path)[:1] == [1]
