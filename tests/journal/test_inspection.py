"""Journals seen from outside, without taking them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.journal.inspection import records_in, summaries
from bridge.journal.lock import lock_holder
from bridge.journal.record import Record, pack
from bridge.journal.store import DamagedError, Row, Store
from tests.support.paths import ROOT

HOLDER = """
import sys
from pathlib import Path
from bridge.journal.store import Store
store = Store.open(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def record(topic: str, number: int) -> Record:
    return Record(topic, b"k", b"%d" % number, [], 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal whose owner is gone, with five records of two topics."""
    store = Store.create(tmp_path)
    groups = [("a", [1, 2]), ("b", [3]), ("a", [4, 5])]
    rows = [
        Row(seq, topic, len(numbers), 100, pack([record(topic, number) for number in numbers]))
        for seq, (topic, numbers) in enumerate(groups, start=1)
    ]
    store.write(rows, [], sync=True)
    store.close()
    return store.path


def test_a_journal_tells_what_it_holds_and_who_made_it(path: Path) -> None:
    (summary,) = summaries(path.parent)
    assert (summary.path, summary.is_owned, summary.problem) == (path, False, "")
    assert summary.maker == f"{socket.gethostname()}:{os.getpid()}"
    assert summary.bytes_on_disk == path.stat().st_size
    assert {backlog.topic: (backlog.groups, backlog.records) for backlog in summary.backlogs} == {
        "a": (2, 4),
        "b": (1, 1),
    }


def test_its_records_come_in_the_order_of_their_topics(path: Path) -> None:
    found = [(one.topic, int(one.value)) for one in records_in(path)]
    assert [number for topic, number in found if topic == "a"] == [1, 2, 4, 5]
    assert [number for topic, number in found if topic == "b"] == [3]
    assert len(found) == 5


def test_a_journal_in_use_is_looked_into_and_stays_its_owners(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        (summary,) = summaries(path.parent)
        assert summary.is_owned
        assert sum(backlog.records for backlog in summary.backlogs) == 5
        assert len(list(records_in(path))) == 5
        assert lock_holder(path) == holder.pid
        holder.kill()
    assert lock_holder(path) is None


def test_a_file_that_is_no_journal_says_so_and_the_others_are_shown(path: Path) -> None:
    broken = path.with_name(f"{0:020d}-host-1-0123abcd.journal")
    broken.write_bytes(b"no journal" * 99)
    first, second = summaries(path.parent)
    assert (first.path, first.maker, first.backlogs) == (broken, "host:1", [])
    assert first.problem
    assert second.path == path
    with pytest.raises(DamagedError):
        list(records_in(broken))
    assert broken.exists()
