"""Imported by Python itself, before anything else of a process."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

CLOCK = "TEST_CLOCK"
"""The environment variable with the path of a file that has, as a double, by how many seconds the clock is off."""


def _follow(path: Path) -> None:
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    true_time_ns, off = time.time_ns, struct.Struct("d")

    def time_ns() -> int:
        return true_time_ns() + int(off.unpack_from(shared)[0] * 1e9)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if CLOCK in os.environ:
    _follow(Path(os.environ[CLOCK]))
