"""How much of the machine others use meanwhile: figures of a time in which it was much are marked."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

DISTURBED_CORES = 0.1
"""What others may use until a measurement counts as disturbed. The kernel's own work takes some hundredths."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6, 7)
"""Of the columns of `/proc/stat`: user, nice, system, irq, softirq, steal. Not idle, iowait, and the guests', which are
in user already."""


class Spent(NamedTuple):
    """CPU seconds."""

    machine: float
    ours: float


class Neighbours:
    """Watches from its construction on.

    Ours are this process and all that it has started, and what these have: servers, the load and the broker, which
    therefore must not run in a container.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = spent()

    def cores(self) -> float:
        """What others have used so far, in cores: 0.5 is half of one."""
        after = spent()
        others = (after.machine - self._before.machine) - (after.ours - self._before.ours)
        return max(0.0, others / (time.monotonic() - self._began))


def is_disturbed(cores: float) -> bool:
    """Whether others used too much."""
    return cores > DISTURBED_CORES


def spent() -> Spent:
    """CPU seconds of the machine, and of this process and its descendants, so far."""
    columns = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return Spent(sum(int(columns[place]) for place in BUSY) * TICK_S, _ours())


def _ours() -> float:
    """CPU seconds of this process and of its descendants, those that have ended among them."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _fields(entry / "stat")
            if fields:
                parents[int(entry.name)] = int(fields[1])
                ticks[int(entry.name)] = sum(map(int, fields[11:15]))  # its own, and that of children it has waited for
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(ticks.get(pid, 0) for pid in ours) * TICK_S


def _fields(path: Path) -> list[str]:
    """From the state on, see proc(5); empty when the process has gone."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []
