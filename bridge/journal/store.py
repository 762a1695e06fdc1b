"""One journal file: an SQLite database in WAL mode with a row per group of records. Used by one thread at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import socket
import sqlite3
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

log = logging.getLogger(__name__)

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"
APPLICATION_ID = 0x696D6272  # "imbr"
VERSION = 1

# A checkpoint holds the writer up, and with it every reply that waits for a sync: 30 ms after 16 MiB, 10 ms after 4, or
# 30 ms after 4 while a backlog is deleted.
CHECKPOINT_PAGES = 512
MIN_FREE_BYTES = 1024 * 1024
FREED_PER_STEP_BYTES = 8 * 1024 * 1024

SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
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


_ours: set[Path] = set()
"""The files that this process has open."""


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
        self._connection = connection
        self._synchronous = ""
        _ours.add(path)

    @classmethod
    def create(cls, folder: Path) -> Store:
        """A new file in `folder`, whose name sorts after those of older ones.

        Raises:
            OSError, sqlite3.Error: the disk does not take it.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        space = os.statvfs(folder)
        if space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
            # It would be full again at once, and readiness would flap.
            raise OSError(errno.ENOSPC, f"less than {MIN_FREE_BYTES} bytes are free", str(folder))
        path = folder / f"{time.time_ns():020d}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
        _ours.add(path)  # Before it is there: another thread may be looking for files without an owner.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            store = cls(path, _connect(path))
        except BaseException:
            path.unlink(missing_ok=True)
            _ours.discard(path)
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
            DamagedError: it is no journal, or damaged.
        """
        if not path.exists():
            raise FileNotFoundError(path)
        with _tell_apart(path):
            store = cls(path, _connect(path))
        try:
            if not path.exists():
                raise FileNotFoundError(path)  # Its owner removed it between our two looks.
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
        if application_id != APPLICATION_ID or version != VERSION:
            raise DamagedError(f"{self.path}: version {version} of the format is not known to this program")
        self._connection.execute("SELECT seq FROM groups LIMIT 1").fetchone()

    def write(self, rows: Iterable[Row], deleted: Sequence[int], *, sync: bool) -> None:
        """Add groups and remove those whose sequence numbers are in `deleted`, as one transaction.

        Afterwards this and all earlier writes survive the end of the process; with `sync` that of the machine too.

        Raises:
            sqlite3.Error: nothing of it was written, or the sync failed.
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

    def read(self, topic: str, after: int, through: int, max_bytes: int) -> list[Row]:
        """The groups of a topic with `after` < seq <= `through`, oldest first, up to about `max_bytes`.

        Raises:
            sqlite3.DatabaseError: the file is damaged.
        """
        found: list[Row] = []
        size = 0
        cursor = self._connection.execute(
            """SELECT seq, topic, records, size, packed FROM groups
               WHERE topic = ? AND seq > ? AND seq <= ? ORDER BY seq""",
            (topic, after, through),
        )
        with contextlib.closing(cursor):
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

    def size_on_disk(self) -> int:
        """Bytes of the file and its write-ahead log."""
        return sum(part.stat().st_size for part in self._files() if part.exists())

    def close(self) -> None:
        """Give the file back; whoever comes next finds its groups."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        _ours.discard(self.path)

    def remove(self) -> None:
        """Delete the file, which must hold nothing that is still wanted."""
        for _ in self.remove_in_steps():
            pass

    def remove_in_steps(self) -> Iterator[None]:
        """Delete the file a bit at a time: to free a gigabyte at once holds up the file system for half a second."""
        with contextlib.ExitStack() as still_open:
            file = None
            with contextlib.suppress(OSError):
                file = still_open.enter_context(self.path.open("rb+"))
            try:
                for part in self._files():
                    part.unlink(missing_ok=True)
            finally:
                self.close()
            while file and (left := os.fstat(file.fileno()).st_size - FREED_PER_STEP_BYTES) > 0:
                file.truncate(left)
                yield

    def _files(self) -> list[Path]:
        return [self.path, log_of(self.path)]

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
    except sqlite3.DatabaseError as error:
        raise DamagedError(f"{path}: {error}") from error


def _runs(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of consecutive numbers: a backlog that drains is deleted in few statements."""
    ordered = sorted(seqs)
    for _, run in groupby(enumerate(ordered), key=lambda item: item[1] - item[0]):
        numbers = [seq for _, seq in run]
        yield numbers[0], numbers[-1]


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a file."""
    return path.with_name(path.name + "-wal")


def is_owned(path: Path) -> bool:
    """Whether a process has the file open, without taking it for a moment from one that is about to start."""
    # Closing any descriptor of a file frees all locks of a process on it, so ours must not even be opened.
    if path in _ours:
        return True
    try:
        with path.open("rb+") as file:
            # struct flock: type, whence, start, length (0: to the end), pid. The kernel fills in who is in the way.
            question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except OSError:
        return True
    return bool(struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
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
