"""Gives back to the system the memory that a backlog took, once it has drained.

The C library keeps what is freed, unless it lies at the end of its heap. The events of a backlog lie between what lives
on, so that a process would keep for ever what its largest backlog so far has taken, and a little more each time.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

BACKLOG_BYTES = 2 * 1024 * 1024
"""So much has to be held at a time, that it is worth it when it is gone."""
DRAINED_BYTES = BACKLOG_BYTES // 2
MIN_INTERVAL_S = 10.0
"""Between two times: what is given back has to be fetched again, where backlog follows on backlog."""


def give_back() -> None:
    """Let the C library return what it does not use, in a thread that ends with it: some milliseconds for 10 MB."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Of glibc alone.
    if trim is not None:
        threading.Thread(target=trim, args=(0,), name="malloc-trim", daemon=True).start()


class FreedMemory:
    """Knows when a backlog has gone.

    Args:
        give_back: called then.
        clock: seconds.
    """

    def __init__(self, give_back: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._give_back = give_back
        self._clock = clock
        self._given_back_at = -MIN_INTERVAL_S
        self._had_backlog = False

    def note(self, held_bytes: int) -> None:
        """So much is held now of what callbacks have brought; to be told now and then."""
        if held_bytes >= BACKLOG_BYTES:
            self._had_backlog = True
        elif self._had_backlog and held_bytes < DRAINED_BYTES:
            now = self._clock()
            if now - self._given_back_at >= MIN_INTERVAL_S:
                self._given_back_at = now
                self._had_backlog = False
                self._give_back()
