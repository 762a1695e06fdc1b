"""Lets each of some processes run for a quarter of the time.

Two processes beside one tell how the work scales only where nothing else is short. On a machine of two cores, broker
and load generator need one of them: so each process is given a quarter of a core, in turns.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PERIOD_S = 0.04
SHARE = 4


@contextmanager
def quarter(pids: Sequence[int]) -> Iterator[None]:
    """Within the block, let each of these processes, four at most, run for a quarter of the time, in turns."""
    ended = threading.Event()
    turns = threading.Thread(target=_take_turns, args=(pids, ended))
    turns.start()
    try:
        yield
    finally:
        ended.set()
        turns.join()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _take_turns(pids: Sequence[int], ended: threading.Event) -> None:
    assert len(pids) <= SHARE
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    begins = time.monotonic()
    while not ended.is_set():
        for turn in range(SHARE):
            if turn < len(pids):
                os.kill(pids[turn], signal.SIGCONT)
            begins += PERIOD_S / SHARE
            time.sleep(max(0.0, begins - time.monotonic()))
            if turn < len(pids):
                os.kill(pids[turn], signal.SIGSTOP)
