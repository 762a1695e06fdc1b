"""A journal of a newer version of the program is left as it is by an older one, told, and loses nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import metrics
from bridge.journal.folder import look_through, take_over
from bridge.journal.header import FORMAT_VERSION, NewerFormatError
from bridge.journal.inspection import summaries
from bridge.journal.journal_name import damaged_in
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.journal.test_foreign_files import contents, left_behind
from tests.support.newer_version import NEWER_FORMAT, as_newer_version
from tests.support.paths import ROOT

WRITES_AND_IS_KILLED = """
import os, sys
from pathlib import Path
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
store = Store.create(Path(sys.argv[1]))
store.write([Row(1, "t", 1, 100, pack([Record("t", b"k", b"v", [], 5)]))], [], sync=True)
if sys.argv[2] == "stopped":
    store.close()
print(store.path, flush=True)
if sys.argv[2] == "living":
    sys.stdin.read()
os._exit(9)
"""
PUBLISHES = """
import sys
from pathlib import Path
from bridge.journal.folder import take_over
for store, backlogs in take_over(Path(sys.argv[1])):
    print(store.path.name, *(backlog.records for backlog in backlogs))
    store.close()
"""


def started(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """A newer version of the program at work."""
    command = [sys.executable, "-c", as_newer_version(script), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def waiting_for_newer() -> float | None:
    """What the metrics say of it."""
    return metrics.REGISTRY.get_sample_value("bridge_journals_of_newer_format")


def left_by_newer(folder: Path, end: str) -> Path:
    path, _ = started(WRITES_AND_IS_KILLED, folder, end).communicate(timeout=60)
    return Path(path.strip())


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_it_is_left_as_it_is_told_once_and_published_by_the_newer_version(
    end: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer = left_by_newer(tmp_path, end)
    ours = left_behind(tmp_path)
    before = {name: content for name, content in contents(tmp_path).items() if name.startswith(newer.name)}
    assert len(before) == (2 if end == "killed" else 1), "with its write-ahead log, where its process was killed"

    with pytest.raises(NewerFormatError, match=f"has format {NEWER_FORMAT}, of a newer version"):
        Store.open(newer)
    assert look_through(tmp_path).takeable == [ours]
    ((store, _),) = take_over(tmp_path)
    assert store.path == ours
    store.remove()
    assert look_through(tmp_path).takeable == []

    assert damaged_in(tmp_path) == []
    assert contents(tmp_path) == before
    told = [record for record in caplog.records if newer.name in record.getMessage()]
    assert [record.levelno for record in told] == [logging.ERROR]
    assert "Start the newer version again, or publish the file with its `bridge journal drain`" in told[0].getMessage()
    published, _ = started(PUBLISHES, tmp_path).communicate(timeout=60)
    assert published == f"{newer.name} 1\n"


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_it_is_shown_with_its_format(end: str, tmp_path: Path) -> None:
    newer = left_by_newer(tmp_path, end)
    (summary,) = summaries(tmp_path)
    assert summary.path == newer
    assert f"format {NEWER_FORMAT}, of a newer version of im-bridge" in summary.problem


def test_while_its_process_lives_nothing_waits_and_nothing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in an upgrade of processes one by one, which share a folder."""
    newer = started(WRITES_AND_IS_KILLED, tmp_path, "living")
    assert newer.stdout
    newer.stdout.readline()
    assert look_through(tmp_path).takeable == []
    assert take_over(tmp_path) == []
    assert not caplog.records
    assert waiting_for_newer() == 0
    newer.communicate(timeout=60)
    assert look_through(tmp_path).takeable == []
    assert len(caplog.records) == 1
    assert waiting_for_newer() == 1


def test_a_file_that_a_newer_version_brings_to_its_format_while_we_look_is_left_too(tmp_path: Path) -> None:
    """Its first page is of the older format, and what makes it newer is in its write-ahead log."""
    path = left_behind(tmp_path)
    script = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA user_version = 99")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script, path], check=False)
    with pytest.raises(NewerFormatError, match="format 99"):
        Store.open(path)
    assert take_over(tmp_path) == []
    assert path.exists()


def test_a_new_file_is_numbered_above_it(tmp_path: Path) -> None:
    """So the newer version publishes what it left before what was accepted since."""
    newer = left_by_newer(tmp_path, "killed")
    store = Store.create(tmp_path)
    assert store.number > int(newer.name.partition("-")[0])
    store.write([Row(1, "t", 1, 100, pack([Record("t", b"k", b"w", [], 6)]))], [], sync=True)
    store.close()
    published, _ = started(PUBLISHES, tmp_path).communicate(timeout=60)
    assert published.splitlines() == [f"{newer.name} 1", f"{store.path.name} 1"]
    newer.unlink()
    look_through(tmp_path)
    assert waiting_for_newer() == 0


def test_the_format_of_this_version_is_what_it_writes(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    assert int.from_bytes(path.read_bytes()[60:64], "big") == FORMAT_VERSION
