"""The journal's threads and disk, for a test that decides what they do and when."""

from __future__ import annotations

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from bridge.journal import adopter as adopter_module
from bridge.journal import journal as journal_module
from bridge.journal.header import log_of
from bridge.journal.journal_file import JournalFile
from bridge.journal.record import Record, pack, unpack
from bridge.journal.store import Row, Store
from bridge.journal.writer import FileThread, JournalWriter, Work

ORPHAN_ROW_BYTES = 200


class StepThread(FileThread):
    """Does its work when the test says so."""

    _begun: Work | None = None

    def start(self) -> None:
        """No thread: `step` is called instead."""

    def step(self) -> bool:
        """Begin the next piece of work, or do what was begun. Whether there was any.

        In between, as with a thread, more may be asked for.
        """
        if (work := self._begun) is not None:
            self._begun = None
            work()
            return True
        if self._is_idle:
            return False
        self._begun = self._next()
        return self._begun is not None

    @property
    def _is_idle(self) -> bool:
        return self._queue.empty()


class StepWriter(StepThread, JournalWriter):
    """The same for the writer, which may hang."""

    hangs = False

    @property
    def is_stuck(self) -> bool:
        """Whether the test lets the disk hang."""
        return self.hangs

    @property
    def _is_idle(self) -> bool:
        return super()._is_idle and not self._next_work


class FaultyDisk:
    """Real files, of which is known what they hold; writes and syncs fail when the test says so.

    Args:
        on_removed: called with the rows of a file that is about to be removed.
    """

    def __init__(self, on_removed: Callable[[Iterable[Row]], None]) -> None:
        self.write_fails = False
        """Nothing is written, and the write raises."""
        self.sync_fails = False
        """What is written is there, and the sync raises."""
        self.takes_no_file = False
        self.own_files: set[JournalFile] = set()
        """Files that the journal has made since the last crash, whatever became of them."""
        self._on_removed = on_removed
        self._written: dict[Path, dict[int, Row]] = {}
        """File → its rows, as they survive the end of the process."""
        self._synced: dict[Path, dict[int, Row]] = {}
        """The same for the end of the machine."""
        self._lost: dict[Path, set[int]] = defaultdict(set)
        """File → rows that the kernel may have dropped when a sync failed."""
        self._open: set[Store] = set()
        self._own_stores: set[Store] = set()
        self._create = Store.create
        self._write = Store.write

    def heal(self) -> None:
        """All works again."""
        self.write_fails = self.sync_fails = self.takes_no_file = False

    @property
    def fails(self) -> bool:
        """Whether anything does not work."""
        return self.write_fails or self.sync_fails or self.takes_no_file

    @property
    def synced_names(self) -> set[str]:
        """Of the records that survive the end of the machine."""
        return {name for rows in self._synced.values() for row in rows.values() for name in names_of(row)}

    def crash(self, *, machine: bool) -> None:
        """The process ends, or the machine with all that was not synced."""
        for store in list(self._open):
            store.close()
        self._open.clear()
        self._own_stores.clear()
        self.own_files.clear()
        if not machine:
            return
        for path, rows in self._synced.items():
            connection = sqlite3.connect(path)
            with connection:
                connection.execute("DELETE FROM groups")
                connection.executemany(
                    "INSERT INTO groups VALUES (?, ?, ?, ?, 0, ?)",
                    [(row.seq, row.topic, row.records, row.size, row.packed) for row in rows.values()],
                )
            connection.close()
            self._written[path] = dict(rows)

    def vanish(self, folder: Path, *, with_folder: bool) -> tuple[set[str], set[str]]:
        """Somebody removes all files. Gives the names of records in those that are open, and in those that are not."""
        opened = {store.path for store in self._open}
        names: tuple[set[str], set[str]] = set(), set()
        for path in [path for path in self._synced if path.exists()]:
            rows = self._synced.pop(path)
            names[path not in opened].update(name for row in rows.values() for name in names_of(row))
            for part in (path, log_of(path)):
                part.unlink(missing_ok=True)
        if with_folder:
            shutil.rmtree(folder, ignore_errors=True)
        return names

    def leave_orphan(self, folder: Path, records: Sequence[Record]) -> None:
        """A process that is gone has left a journal with these records, synced."""
        rows = [Row(seq, record.topic, 1, ORPHAN_ROW_BYTES, pack([record])) for seq, record in enumerate(records, 1)]
        store = self._create(folder)
        self._write(store, rows, [], sync=True)
        self._written[store.path] = {row.seq: row for row in rows}
        self._synced[store.path] = {row.seq: row for row in rows}
        store.close()
        self._open.discard(store)

    def install(self, patches: pytest.MonkeyPatch) -> None:
        """Stand between the journal and its files, and in the place of its threads."""
        init, remove_in_steps, make = Store.__init__, Store.remove_in_steps, JournalFile.__init__

        def init_known(store: Store, path: Path, connection: sqlite3.Connection) -> None:
            init(store, path, connection)
            self._open.add(store)
            self._written.setdefault(path, {})
            self._synced.setdefault(path, {})

        def remove_known(store: Store) -> Iterator[None]:
            self._synced.pop(store.path, None)
            self._open.discard(store)
            self._on_removed(self._written.pop(store.path, {}).values())
            yield from remove_in_steps(store)

        def make_known(file: JournalFile, store: Store) -> None:
            make(file, store)
            if store in self._own_stores:
                self.own_files.add(file)

        patches.setattr(Store, "__init__", init_known)
        patches.setattr(JournalFile, "__init__", make_known)
        patches.setattr(Store, "create", staticmethod(self._create_own))
        patches.setattr(Store, "write", lambda store, rows, done, *, sync: self._write_known(store, rows, done, sync))
        patches.setattr(Store, "remove_in_steps", remove_known)
        patches.setattr(journal_module, "JournalWriter", StepWriter)
        patches.setattr(adopter_module, "FileThread", StepThread)

    def _create_own(self, folder: Path, **numbers: int) -> Store:
        if self.takes_no_file:
            raise OSError(28, "no space left")
        store = self._create(folder, **numbers)
        self._own_stores.add(store)
        return store

    def _write_known(self, store: Store, rows: Iterable[Row], done: Sequence[int], sync: bool) -> None:
        if self.write_fails:
            raise sqlite3.OperationalError("disk I/O error")
        added = list(rows)
        self._write(store, added, done, sync=sync)
        written = self._written[store.path]
        written.update({row.seq: row for row in added})
        self._lost[store.path] &= written.keys()
        for seq in done:
            written.pop(seq, None)
        if not sync:
            return
        if self.sync_fails:  # What was not synced before may be dropped, and a later sync would not tell.
            self._lost[store.path] |= written.keys() - self._synced[store.path].keys()
            raise sqlite3.OperationalError("disk I/O error: the sync failed")
        self._synced[store.path] = {seq: row for seq, row in written.items() if seq not in self._lost[store.path]}


def name_of(record: Record) -> str:
    """The name that the model gave a record."""
    return record.value.split(b" ")[0].decode()


def names_of(row: Row) -> list[str]:
    """The names of a row's records."""
    return [name_of(record) for record in unpack(row.packed)]
