"""Removes marks that nobody will ever read: of processes that were killed, and whose folder is gone.

A machine that runs many, such as one on which tests kill them, would otherwise lose its memory to them bit by bit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from bridge.audit.marks import NAME, SHARED_MEMORY, mounts, read_description


def remove_strays(shared_memory: Path = SHARED_MEMORY) -> int:
    """Remove them; how many they were. What may still be wanted is left: see `_is_stray`."""
    removed = 0
    for path in shared_memory.glob(f"{NAME}-*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if _is_stray(descriptor, path):
                    path.unlink()
                    removed += 1
            finally:
                os.close(descriptor)
    return removed


def _is_stray(descriptor: int, path: Path) -> bool:
    """Whether nobody alive has marks, and the ledger that they belong to is gone.

    Whether it is gone can be told only where paths mean what they meant to its process. A container sees other files
    under them, and may share this memory.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    description = read_description(descriptor)
    if description is None or not description.ledger or not mounts() or description.mounts != mounts():
        return False
    try:
        inode = Path(description.ledger).stat().st_ino
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not path.name.endswith(f"-{inode}")
