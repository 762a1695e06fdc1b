"""One at a time takes journals over, or gives its own back: so the files of a dead process go to one successor.

Their order is that of their numbers, and only who has all of them can keep it. Of several that start together each
would get some, and publish them beside each other. The same where a process gives its files back one by one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bridge.journal.exclusive_lock import lock_within

WAIT_S = 5.0
"""Longer is waited for nobody: who is before us may move a large backlog, or be stopped in the midst of it."""


@contextlib.contextmanager
def turn(folder: Path, within_s: float = WAIT_S) -> Iterator[bool]:
    """Within the block no other process takes over or gives back what is in a folder.

    Gives False where another has its turn for longer than `within_s`. The lock is on the folder itself, and the kernel
    frees it however a process ends. Where the folder is not there, or cannot be locked, there are no turns.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # Whoever looks into it is told why.
        yield True
        return
    try:
        yield _has_turn(descriptor, within_s)
    finally:
        os.close(descriptor)


def _has_turn(descriptor: int, within_s: float) -> bool:
    try:
        return lock_within(descriptor, within_s)
    except OSError:
        return True
