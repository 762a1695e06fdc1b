"""The lock of a file or folder that one process has at a time (`flock`): the kernel frees it however a process ends."""

from __future__ import annotations

import fcntl
import time

POLL_S = 0.005


def lock_within(descriptor: int, within_s: float) -> bool:
    """Whether the lock is ours within that time; it is until the descriptor is closed. It blocks the thread meanwhile.

    Args:
        descriptor: of what is locked.
        within_s: how long another may have it; 0: it is asked once.

    Raises:
        OSError: it cannot be locked.
    """
    give_up_at = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                return False
            time.sleep(POLL_S)
        else:
            return True
