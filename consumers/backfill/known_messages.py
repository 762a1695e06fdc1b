"""The messages that the topic has, as an exact set on disk: SQLite in a file of its own, whose memory is bounded.

A B-tree of keys of 16 bytes takes about 30 bytes a key (docs/backfill.md has what was measured). A Bloom filter before
it would save look-ups of messages that are missing, which are few, or else are written next; so there is none.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Self

from consumers.backfill.identity import Key

CACHE_BYTES = 64 * 1024 * 1024
"""What SQLite keeps of the file in memory; the rest is the page cache of the system."""
MAX_PARAMETERS = 900
"""Of one statement: older builds take 999."""


class FoundIn(IntEnum):
    """Where a message was found. Of two places the lower counts."""

    TOPIC = 0
    LETTER = 1
    """A dead letter, and not on the topic of events."""
    ARCHIVE = 2
    """An earlier line of the archive, whose message is not on the topic."""


class KnownMessages:
    """A set of keys and where each was found; used as `with`.

    Args:
        folder: where its file is made. It must have room: about 30 bytes a key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        """Make the file, which nobody else sees: it has no name any more, so it goes when we go, however that is.

        Raises:
            OSError, sqlite3.OperationalError: it cannot be made.
        """
        handle, name = tempfile.mkstemp(prefix="known-", dir=self._folder)
        os.close(handle)
        self._database = sqlite3.connect(name, isolation_level=None)
        # Nothing of it is used after a crash, so nothing need be safe from one.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(f"PRAGMA cache_size = -{CACHE_BYTES // 1024}")
        self._database.execute("CREATE TABLE known (key BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID")
        Path(name).unlink()
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def __len__(self) -> int:
        """How many keys there are; it counts them."""
        count: int = self._database.execute("SELECT count(*) FROM known").fetchone()[0]
        return count

    def add(self, keys: Iterable[Key], place: FoundIn) -> None:
        """Note keys. Of one that was found elsewhere before, the lower place counts.

        Raises:
            sqlite3.OperationalError: the disk is full.
        """
        # In their order: neighbours lie in one page of the tree.
        rows = [(key, int(place)) for key in sorted(set(keys))]
        self._database.execute("BEGIN")
        self._database.executemany(
            "INSERT INTO known VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET place = min(place, excluded.place)", rows
        )
        self._database.execute("COMMIT")

    def find(self, keys: Sequence[Key]) -> dict[Key, FoundIn]:
        """Those of some keys that are known."""
        found: dict[Key, FoundIn] = {}
        for start in range(0, len(keys), MAX_PARAMETERS):
            some = keys[start : start + MAX_PARAMETERS]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, place FROM known WHERE key IN ({marks})"  # noqa: S608 - question marks alone
            found.update((key, FoundIn(place)) for key, place in self._database.execute(query, some))
        return found
