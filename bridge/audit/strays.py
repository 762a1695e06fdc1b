"""Removes marks that nobody will ever read: of processes that were killed, and whose folder is gone.

A machine that runs many, such as one on which tests kill them, would otherwise lose its memory to them bit by bit.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from bridge.audit.marks import NAME, SHARED_MEMORY, Description, is_in_use, is_readable_here, read_description

KEEP_S = 86_400.0
"""How long marks are kept that nobody uses, and of which it cannot be told whether anybody will. A process that lives
shows each minute that it uses its own."""


def remove_strays(shared_memory: Path = SHARED_MEMORY) -> int:
    """Remove them; how many they were. What may still be wanted is left: see `_is_stray`."""
    removed = 0
    for path in shared_memory.glob(f"{NAME}-*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                description = read_description(descriptor)
                if description is not None and _is_stray(descriptor, path, description) and not is_in_use(descriptor):
                    path.unlink()
                    removed += 1
            finally:
                os.close(descriptor)
    return removed


def _is_stray(descriptor: int, path: Path, description: Description) -> bool:
    """Whether marks will never be read, if nobody uses them.

    The ledger that they belong to is another one by now, or gone with the folder of its journals. Whether it is gone
    can be told only where paths mean what they meant to its process. A container sees other files under them, and may
    share this memory; an older version did not say which ledger. Such marks have a day, and so have those whose ledger
    alone is gone, of which the next process in that folder states the end.
    """
    is_old = time.time() - os.fstat(descriptor).st_mtime > KEEP_S
    if not is_readable_here(description):
        return is_old
    ledger = Path(description.ledger)
    try:
        inode = ledger.stat().st_ino
    except FileNotFoundError:
        return is_old or not ledger.parent.parent.exists()
    except OSError:
        return False
    return not path.name.endswith(f"-{inode}")
