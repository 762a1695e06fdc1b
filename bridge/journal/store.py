"""One journal file: an SQLite database in WAL mode with a row per group of records. Used by one thread at a time."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from bridge.journal.header import (
    APPLICATION_ID,
    FORMAT_VERSION,
    WAL_MAGICS,
    check_format_version,
    check_is_journal,
    log_of,
)
from bridge.journal.journal_name import JournalName, new_path, next_number
from bridge.journal.lock import forget_ours, is_ours, note_ours
from bridge.journal.presence import Presence

log = logging.getLogger(__name__)

# A checkpoint holds the writer up, and with it every reply that waits for a sync: 30 ms after 16 MiB, 10 ms after 4, or
# 30 ms after 4 while a backlog is deleted.
CHECKPOINT_PAGES = 512
MIN_FREE_BYTES = 1024 * 1024
FREED_PER_STEP_BYTES = 8 * 1024 * 1024

SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE groups (
    seq INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    records INTEGER NOT NULL,
    size INTEGER NOT NULL,
    stored REAL NOT NULL,
    packed BLOB NOT NULL
);
CREATE TABLE syncs (count INTEGER NOT NULL);
INSERT INTO syncs VALUES (0);
COMMIT;
"""  # noqa: S608 - constants of ours


class OwnedError(Exception):
    """The journal belongs to a living process."""


class DamagedError(Exception):
    """The file is no journal of ours, or cannot be read any more."""


class UnavailableError(Exception):
    """The file cannot be opened at present: a disk that fails, no permission, too many open files."""


class Row(NamedTuple):
    """A group of records as it is stored."""

    seq: int
    topic: str
    records: int
    size: int
    packed: bytes


class Backlog(NamedTuple):
    """What a file holds of one topic."""

    topic: str
    groups: int
    records: int
    bytes: int
    first_seq: int
    last_seq: int
    oldest: float
    """When the oldest group was stored, Unix seconds."""


class Store:
    """An open journal file. Opening takes its lock, which the kernel frees when the process ends, however it ends.

    Args:
        path: the file.
        connection: SQLite in exclusive mode, whose lock is held.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.number = JournalName.of(path).number
        """Of its name."""
        self.has_failed = False
        """Whether a write or a sync of it failed, so that nothing may be added to it any more."""
        self._connection = connection
        self._synchronous = ""
        note_ours(path)
        try:
            self._parts = (Presence(path), Presence(log_of(path), WAL_MAGICS))
        except OSError:
            self.close()
            raise

    @classmethod
    def create(cls, folder: Path, *, number: int | None = None, above: int = 0) -> Store:
        """A new file in `folder`, made where there is none.

        Args:
            folder: where.
            number: of its name; None: a number above all that are there, and above `above`.
            above: the number of files that are not there any more.

        Raises:
            OSError, sqlite3.Error: the disk does not take it.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        space = os.statvfs(folder)
        if space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
            # It would be full again at once, and readiness would flap.
            raise OSError(errno.ENOSPC, f"less than {MIN_FREE_BYTES} bytes are free", str(folder))
        path = new_path(folder, max(next_number(folder), above + 1) if number is None else number)
        note_ours(path)  # Before it is there: another thread may be looking for files without an owner.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            store = cls(path, _connect(path))
        except BaseException:
            path.unlink(missing_ok=True)
            forget_ours(path)
            raise
        try:
            store._create_schema()
            sync_folder(folder)
        except BaseException:
            store.remove()
            raise
        return store

    @classmethod
    def open(cls, path: Path) -> Store:
        """Take over an existing file.

        Raises:
            FileNotFoundError: it is gone.
            OwnedError: a living process has it.
            UnavailableError: the disk or the system does not let us.
            NewerFormatError: a newer version of this program has made it.
            ForeignError: it is something that is not ours.
            DamagedError: it was a journal, and cannot be read any more.
        """
        if is_ours(path):
            raise OwnedError(str(path))
        with _tell_apart(path):
            check_is_journal(path)
            store = cls(path, _connect(path))  # It is not found, where its owner removed it between our two looks.
        try:
            with _tell_apart(path):
                store._check()
        except BaseException:
            store.close()
            raise
        return store

    def _create_schema(self) -> None:
        self._set_synchronous("FULL")
        self._connection.executescript(SCHEMA)

    def _check(self) -> None:
        if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            # Its owner ended while it made the file, before anything could be acknowledged from it.
            self._create_schema()
            return
        application_id, version = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if application_id == APPLICATION_ID:
            check_format_version(self.path, version)
        if application_id != APPLICATION_ID or version != FORMAT_VERSION:
            raise DamagedError(f"{self.path}: version {version} of the format is not known to this program")
        self._connection.execute("SELECT seq FROM groups LIMIT 1").fetchone()

    def write(self, rows: Iterable[Row], deleted: Sequence[int], *, sync: bool) -> None:
        """Add groups and remove those whose sequence numbers are in `deleted`, as one transaction.

        Afterwards this and all earlier writes survive the end of the process; with `sync` that of the machine too.

        Raises:
            sqlite3.Error: nothing of it was written, or the sync failed.
            OSError: it was synced to a file that is not in its folder any more, see `check_presence`.
        """
        # One commit in mode FULL syncs the whole write-ahead log, so it covers all earlier commits in mode NORMAL.
        self._set_synchronous("FULL" if sync else "NORMAL")
        now = time.time()
        execute = self._connection.execute
        execute("BEGIN")
        try:
            for row in rows:
                execute(
                    "INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?)",
                    (row.seq, row.topic, row.records, row.size, now, row.packed),
                )
            for run in _runs(deleted):
                execute("DELETE FROM groups WHERE seq BETWEEN ? AND ?", run)
            if sync:
                execute("UPDATE syncs SET count = count + 1")  # A commit without a change would sync nothing.
            execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise
        if sync:  # It acknowledges, which a write alone does not.
            self.check_presence()

    def check_presence(self) -> None:
        """See to it that whoever looks for the file finds it, with all that it holds.

        Raises:
            VanishedError: it was removed, moved, replaced, truncated or linked.
            OSError: the disk or the system does not let us look.
        """
        for part in self._parts:
            part.check()

    def read(self, topic: str, after: int, through: int, max_bytes: int) -> list[Row]:
        """The groups of a topic with `after` < seq <= `through`, oldest first, up to about `max_bytes`.

        Raises:
            sqlite3.DatabaseError: the file is damaged.
        """
        return self._rows(
            """SELECT seq, topic, records, size, packed FROM groups
               WHERE topic = ? AND seq > ? AND seq <= ? ORDER BY seq""",
            (topic, after, through),
            max_bytes,
        )

    def read_all(self, after: int, max_bytes: int) -> list[Row]:
        """The groups of all topics with seq > `after`, oldest first, up to about `max_bytes`.

        Raises:
            sqlite3.DatabaseError: the file is damaged.
        """
        query = "SELECT seq, topic, records, size, packed FROM groups WHERE seq > ? ORDER BY seq"
        return self._rows(query, (after,), max_bytes)

    def _rows(self, query: str, parameters: tuple[int | str, ...], max_bytes: int) -> list[Row]:
        found: list[Row] = []
        size = 0
        with contextlib.closing(self._connection.execute(query, parameters)) as cursor:
            for columns in cursor:
                found.append(Row(*columns))
                size += found[-1].size
                if size >= max_bytes:
                    break
        return found

    def backlog(self) -> list[Backlog]:
        """What the file holds, per topic."""
        return [
            Backlog(*columns)
            for columns in self._connection.execute(
                """SELECT topic, count(*), sum(records), sum(size), min(seq), max(seq), min(stored)
                   FROM groups GROUP BY topic"""
            )
        ]

    def last_seq(self) -> int:
        """The highest sequence number in it; 0 where it holds nothing.

        Raises:
            sqlite3.DatabaseError: the file is damaged.
        """
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM groups").fetchone()[0])

    def free_cache(self) -> None:
        """Forget the pages that were read and written, two megabytes at most: they are read again where need be."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA shrink_memory")

    def close(self) -> None:
        """Give the file back; whoever comes next finds its groups."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        forget_ours(self.path)

    def remove(self) -> None:
        """Delete the file, which must hold nothing that is still wanted."""
        for _ in self.remove_in_steps():
            pass

    def remove_in_steps(self) -> Iterator[None]:
        """Delete the file a bit at a time: to free a gigabyte at once holds up the file system for half a second.

        What has its name by now, and is another, stays as it is.
        """
        parts = [part for part in self._parts if part.is_there]
        with contextlib.ExitStack() as still_open:
            file = None
            if self._parts[0] in parts:
                with contextlib.suppress(OSError):
                    file = still_open.enter_context(self.path.open("rb+"))
            try:
                for part in parts:
                    part.path.unlink(missing_ok=True)
            finally:
                self.close()
            while file and (status := os.fstat(file.fileno())).st_size > FREED_PER_STEP_BYTES and not status.st_nlink:
                file.truncate(status.st_size - FREED_PER_STEP_BYTES)
                yield

    def _set_synchronous(self, mode: str) -> None:
        if mode != self._synchronous:
            self._connection.execute(f"PRAGMA synchronous = {mode}")
            self._synchronous = mode


@contextlib.contextmanager
def _tell_apart(path: Path) -> Iterator[None]:
    """Say of a failure to open a file whether it is owned, damaged, or will be readable again."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise OwnedError(str(path)) from error
        raise UnavailableError(f"{path}: {error}") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnavailableError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise DamagedError(f"{path}: {error}") from error


def is_damaged(error: sqlite3.DatabaseError) -> bool:
    """Whether a file will never be read where it failed, rather than a disk that may be well again."""
    code = getattr(error, "sqlite_errorcode", None)  # Not of errors that the module itself raises.
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or not isinstance(error, sqlite3.OperationalError)


def _runs(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of consecutive numbers: a backlog that drains is deleted in few statements."""
    ordered = sorted(seqs)
    for _, run in groupby(enumerate(ordered), key=lambda item: item[1] - item[0]):
        numbers = [seq for _, seq in run]
        yield numbers[0], numbers[-1]


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA journal_size_limit = -1")  # A log that became shorter would count as truncated.
        connection.execute("PRAGMA secure_delete = OFF")  # On in some builds: deleted rows would be overwritten.
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        # The lock is taken by the first write only.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def sync_folder(folder: Path) -> None:
    """Make durable which files are in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
