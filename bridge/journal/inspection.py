"""Looks into journals from outside, also into those of living processes: what do they hold, and whose are they?"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bridge.journal.record import Record, unpack
from bridge.journal.store import SUFFIX, Backlog, DamagedError, Store, UnavailableError, is_owned, log_of

READ_BYTES = 1024 * 1024


class JournalSummary(NamedTuple):
    """A journal file, seen from outside."""

    path: Path
    is_owned: bool
    """Whether the process that made it is alive, or another one that has adopted it."""
    bytes_on_disk: int
    backlogs: list[Backlog]
    """What it holds, by topic."""
    problem: str = ""
    """Why what it holds cannot be read now."""

    @property
    def owner(self) -> str:
        """Host and process id of who made it, from its name."""
        _, _, rest = self.path.name.partition("-")
        host, process, _ = rest.rsplit("-", 2)
        return f"{host}:{process}"


def summaries(folder: Path) -> Iterator[JournalSummary]:
    """Every journal in `folder`, oldest first."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with _opened_copy(path) as store:
                yield JournalSummary(path, is_owned(path), store.size_on_disk(), store.backlog())
        except FileNotFoundError:
            continue
        except (DamagedError, UnavailableError, OSError) as error:
            yield JournalSummary(path, is_owned(path), path.stat().st_size, [], problem=str(error))


def records_in(path: Path) -> Iterator[Record]:
    """The records that a journal holds, in order of each topic.

    Raises:
        DamagedError, UnavailableError, OSError: it cannot be read, or its owner wrote to it just now: try again.
    """
    with _opened_copy(path) as store:
        for backlog in store.backlog():
            after = 0
            while rows := store.read(backlog.topic, after, backlog.last_seq, READ_BYTES):
                for row in rows:
                    yield from unpack(row.packed)
                after = rows[-1].seq


@contextlib.contextmanager
def _opened_copy(path: Path) -> Iterator[Store]:
    """A copy of a journal, which may be in use: its owner holds a lock, and copying asks for none."""
    with tempfile.TemporaryDirectory(prefix=".bridge-journal-", dir=_roomiest(path.parent)) as folder:
        copy = Path(folder) / path.name
        for part in (path, log_of(path)):
            if part.exists():
                shutil.copyfile(part, copy.with_name(part.name))
        store = Store.open(copy)
        try:
            yield store
        finally:
            store.close()


def _roomiest(folder: Path) -> Path:
    """Where there is most room for a copy: the usual place may be small, or in memory."""
    places = [place for place in (Path(tempfile.gettempdir()), folder) if os.access(place, os.W_OK)]
    return max(places or [folder], key=lambda place: shutil.disk_usage(place).free)
