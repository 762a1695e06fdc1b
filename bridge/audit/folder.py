"""The folder of the ledgers: its id, and its lock.

All functions here touch the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLDER = "audit"
"""Its name in the folder of the journals."""
FOLDER_ID = "folder.id"
LEDGER = ".ledger"
"""What the names of ledgers end with."""


def read_folder_id(folder: Path) -> str:
    """The id of a folder; empty where there is none."""
    path = folder / FOLDER_ID
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (found := path.read_text().strip()).isalnum():
            return found
    return ""


def find_folder_id(folder: Path, otherwise: str) -> str:
    """The id of a folder, which is given this one if it has none.

    Raises:
        OSError: the disk does not take it.
    """
    if found := read_folder_id(folder):
        return found
    with os.fdopen(os.open(folder / FOLDER_ID, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        file.write(f"{otherwise}\n")
    return otherwise


def place_of(descriptor: int) -> str:
    """The machine and the file system that a file is on now. Two files in one place, with one inode, are the same."""
    return f"{_boot_id()}/{os.fstat(descriptor).st_dev}"


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return "unknown"


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Within the block nobody else begins a life, or looks for those that have ended."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
