"""Looks into journals from outside, also into those of living processes: what do they hold, and whose are they?"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bridge.journal.header import check_is_journal, log_of
from bridge.journal.journal_name import JournalName, journals_in
from bridge.journal.lock import lock_holder
from bridge.journal.own_file import ForeignError, opened
from bridge.journal.record import Record, unpack
from bridge.journal.store import Backlog, DamagedError, Store, UnavailableError

READ_BYTES = COPY_BYTES = 1024 * 1024


class JournalSummary(NamedTuple):
    """A journal file, seen from outside."""

    path: Path
    holder: int | None
    """The process that has it open: who made it, or who adopted it. 0 if it is in another container, None if nobody."""
    bytes_on_disk: int
    backlogs: list[Backlog]
    """What it holds, by topic."""
    problem: str = ""
    """Why what it holds cannot be read now."""

    @property
    def is_owned(self) -> bool:
        """Whether a living process has it open."""
        return self.holder is not None

    @property
    def maker(self) -> str:
        """Host and process id of who made it, from its name; empty where that is not of our form."""
        name = JournalName.of(self.path)
        return f"{name.host}:{name.process}" if name.is_of_our_form else ""


def summaries(folder: Path) -> Iterator[JournalSummary]:
    """Every journal in `folder`, oldest first, and what only seems to be one.

    Raises:
        OSError: the folder cannot be read.
    """
    for path in journals_in(folder):
        holder, size = None, 0
        try:
            size = path.lstat().st_size
            check_is_journal(path)
            holder = lock_holder(path)
            with _opened_copy(path) as store:
                yield JournalSummary(path, holder, store.size_on_disk(), store.backlog())
        except FileNotFoundError:
            continue
        except (DamagedError, ForeignError, UnavailableError, sqlite3.Error, OSError) as error:
            yield JournalSummary(path, holder, size, [], problem=str(error))


def records_in(path: Path) -> Iterator[Record]:
    """The records that a journal holds, in order of each topic.

    Raises:
        DamagedError, ForeignError, UnavailableError, OSError: it cannot be read, or its owner wrote to it just now: try
            again.
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
        _copy(path, copy)
        with contextlib.suppress(FileNotFoundError):
            _copy(log_of(path), log_of(copy))
        store = Store.open(copy)
        try:
            yield store
        finally:
            store.close()


def _copy(path: Path, target: Path) -> None:
    with opened(path) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, COPY_BYTES)


def _roomiest(folder: Path) -> Path:
    """Where there is most room for a copy: the usual place may be small, or in memory."""
    places = [place for place in (Path(tempfile.gettempdir()), folder) if os.access(place, os.W_OK)]
    return max(places or [folder], key=lambda place: shutil.disk_usage(place).free)
