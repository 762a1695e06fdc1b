"""Who runs where, and how much of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER = {CORES[0]}
OTHERS = set(CORES[1:]) or SERVER
"""Broker and load generator."""


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes that are started inside inherit these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of all threads of some processes so far, from the scheduler's own account, in nanoseconds."""
    spent = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                spent += int(task.read_text().split()[0])
            except OSError:  # The thread has ended.
                continue
    return spent / 1e9
