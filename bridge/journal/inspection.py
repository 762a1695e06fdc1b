"""Looks into journals from outside, also into those of living processes: what do they hold, and whose are they?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bridge.journal.header import check_is_journal, log_of
from bridge.journal.journal_name import JournalName, journals_in
from bridge.journal.lock import lock_holder
from bridge.journal.own_file import ForeignError
from bridge.journal.reading import JournalReader
from bridge.journal.record import Record, unpack
from bridge.journal.store import Backlog, DamagedError

ATTEMPTS = 5
NOT_OURS = "we may not read it: run this as the user of the ingress"


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
    is_owner_known: bool = True
    """Whether we may ask who has it open."""

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
    """Every journal in `folder`, oldest first, and what only seems to be one. Nothing is copied or changed.

    Raises:
        OSError: the folder cannot be read.
    """
    for path in journals_in(folder):
        holder, size, is_owner_known = None, 0, False
        try:
            size = _size_on_disk(path)
            holder, is_owner_known = lock_holder(path), True
            check_is_journal(path)
            yield JournalSummary(path, holder, size, _backlogs(path, is_owned=holder is not None))
        except FileNotFoundError:
            continue
        except (DamagedError, ForeignError, OSError) as error:
            yield JournalSummary(path, holder, size, [], told_of(error), is_owner_known)


def told_of(error: Exception) -> str:
    """Why a journal cannot be read, for people."""
    return NOT_OURS if isinstance(error, PermissionError) else str(error)


def records_in(path: Path) -> Iterator[Record]:
    """The records that a journal holds, in the order in which they were stored. Nothing is copied or changed.

    Raises:
        DamagedError, ForeignError, OSError: it cannot be read, or its owner wrote to it just now: try again.
        msgspec.DecodeError: records in it are damaged.
    """
    check_is_journal(path)
    with JournalReader(path) as reader:
        for group in reader.groups():
            yield from unpack(group.packed())


def _backlogs(path: Path, *, is_owned: bool) -> list[Backlog]:
    """What it holds, by topic; of one whose owner writes meanwhile it may take several attempts to read it.

    Raises:
        DamagedError, ForeignError, OSError: it cannot be read.
    """
    for _ in range(ATTEMPTS - 1 if is_owned else 0):
        with contextlib.suppress(DamagedError):
            return _read_backlogs(path)
    return _read_backlogs(path)


def _read_backlogs(path: Path) -> list[Backlog]:
    backlogs: dict[str, Backlog] = {}
    with JournalReader(path) as reader:
        for group in reader.groups():
            known = backlogs.get(group.topic) or Backlog(group.topic, 0, 0, 0, group.seq, group.seq, group.stored)
            backlogs[group.topic] = Backlog(
                group.topic,
                known.groups + 1,
                known.records + group.records,
                known.bytes + group.size,
                known.first_seq,
                group.seq,
                min(known.oldest, group.stored),
            )
    return [backlogs[topic] for topic in sorted(backlogs)]


def _size_on_disk(path: Path) -> int:
    size = path.lstat().st_size
    with contextlib.suppress(FileNotFoundError):
        size += log_of(path).lstat().st_size
    return size
