"""The folder of the ledgers: its id, and its lock.

All functions here touch the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

FOLDER = "audit"
"""Its name in the folder of the journals."""
FOLDER_ID = "folder.id"


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


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Within the block nobody else begins a life, or looks for those that have ended."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
