"""A power cut, as far as a journal can tell: what was written after the last sync may be gone.

`kill -9` alone loses nothing, for the kernel has the pages. A machine that loses power loses of a file what was not
synced; to cut off more would accuse the journal of what no program can prevent. So where was the last sync? The journal
says it itself: a transaction that it syncs counts the syncs up, so its frames in SQLite's write-ahead log include the
page of the table `syncs`. The last such transaction and all before it were synced, or their sync had begun: they stay.
Of the rest a random part is cut off, in the middle of a frame as well.

A log without such a transaction began anew after a checkpoint, which has synced the database: all of it may go. What
lies in a log behind its present end, from before that checkpoint, has another salt and is not looked at. A log that is
long enough for a checkpoint may be in the middle of one, which begins by syncing it: of that, nothing goes.
"""

from __future__ import annotations

import random
import sqlite3
import struct
import tempfile
from pathlib import Path
from shutil import copyfile

from bridge.journal.header import log_of
from bridge.journal.store import CHECKPOINT_PAGES

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24


def cut(journal: Path, chance: random.Random) -> int:
    """Cut off a random part of what a dead process has not synced; gives how many bytes."""
    log = log_of(journal)
    if not log.exists() or log.stat().st_size < HEADER_BYTES:
        return 0
    content = log.read_bytes()
    synced = synced_bytes(content, page_of_syncs(journal))
    end = _end(content)
    if end <= synced:
        return 0
    keep = chance.randint(synced, end)
    with log.open("r+b") as file:
        file.truncate(keep)
    return end - keep


def synced_bytes(log: bytes, page_of_syncs: int) -> int:
    """How much of a write-ahead log is certain to be on disk: up to the last transaction that was synced."""
    frames = _frames(log)
    if len(frames) >= CHECKPOINT_PAGES:
        return len(log)
    synced = HEADER_BYTES
    counted = False
    for at, page, commits in frames:
        counted |= page == page_of_syncs
        if commits:
            synced = at if counted else synced
            counted = False
    return synced


def page_of_syncs(journal: Path) -> int:
    """Number of the page of the table `syncs`, from a copy: whoever opens the journal itself would repair it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copyfile(journal, copy)
        copyfile(log_of(journal), log_of(copy))
        connection = sqlite3.connect(copy)
        try:
            found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'syncs'").fetchone()
        finally:
            connection.close()
    return int(found[0]) if found else 0


def _end(log: bytes) -> int:
    """Where the last complete transaction ends."""
    return max((at for at, _, commits in _frames(log) if commits), default=HEADER_BYTES)


def _frames(log: bytes) -> list[tuple[int, int, bool]]:
    """End, page number, and whether it ends a transaction, of each frame of the present generation."""
    page_size = struct.unpack_from(">I", log, 8)[0]
    salt = log[16:24]
    frames = []
    at = HEADER_BYTES
    while at + FRAME_HEADER_BYTES + page_size <= len(log) and log[at + 8 : at + 16] == salt:
        page, size_after_commit = struct.unpack_from(">II", log, at)
        at += FRAME_HEADER_BYTES + page_size
        frames.append((at, page, size_after_commit > 0))
    return frames
