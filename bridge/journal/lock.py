"""Whose is a journal file? SQLite's lock on it says so, and the kernel frees that however a process ends."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from bridge.journal.own_file import FileId, opened

_FLOCK = "hhqqi4x"
"""struct flock: type, whence, start, length (0: to the end), process."""
_our_paths: set[Path] = set()
_our_files: dict[Path, FileId] = {}
"""What this process has open, which it must not even open a second time: to close that would free the lock."""


def note_ours(path: Path) -> None:
    """This process has a file open, or is about to make it."""
    _our_paths.add(path)
    if path.exists():
        _our_files[path] = FileId.of(path.lstat())


def forget_ours(path: Path) -> None:
    """This process has it open no longer."""
    _our_paths.discard(path)
    _our_files.pop(path, None)


def is_ours(path: Path) -> bool:
    """Whether this process has the file open, be it under another name."""
    if path in _our_paths:
        return True
    try:
        return FileId.of(path.lstat()) in _our_files.values()
    except OSError:
        return False


def lock_holder(path: Path) -> int | None:
    """The id of the process that has a journal open, without taking it for a moment from one that is about to start.

    Returns:
        0 where it is in another container, whose processes have no ids here; None where nobody has it open.

    Raises:
        FileNotFoundError, ForeignError, OSError: see `bridge.journal.own_file.own_status`.
    """
    if is_ours(path):
        return os.getpid()
    with opened(path) as file:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    kind, _, _, _, process = struct.unpack(_FLOCK, answer)
    return None if kind == fcntl.F_UNLCK else max(0, int(process))
