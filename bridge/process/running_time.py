"""How much of a time a process ran, or could have run: a machine that has no time for it is not its fault.

Linux tells it of the main thread, where the event loop is: https://docs.kernel.org/scheduler/sched-stats.html
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

NANOSECOND = 1e-9
RUNNABLE = "R"
"""The state of a thread that runs, or would if it were let."""


class RunningTime:
    """Measures the time of one process from one call to the next.

    Counted is the time in which it ran, waited for something or was stopped; not counted is the time in which it waited
    for a CPU, as it does beside other processes and in a container that has used up its share.

    Args:
        pid: the process.
        longest_s: most that is counted at a time. A caller that comes later was held up itself, as by a machine that
            stood still, and cannot tell.
    """

    def __init__(self, pid: int, *, longest_s: float) -> None:
        self._pid = pid
        self._longest_s = longest_s
        self._at = time.monotonic()
        self._before = _read(pid)

    def passed_s(self) -> float:
        """Seconds since the last call; where the kernel does not tell more, all that have passed."""
        now, seen = time.monotonic(), _read(self._pid)
        counted_s = elapsed_s = now - self._at
        if seen is not None and self._before is not None:
            waited_s = seen.waited_s - self._before.waited_s
            # While a thread still waits for a CPU, the time that it has waited is not told yet.
            counted_s = seen.ran_s - self._before.ran_s if seen.state == RUNNABLE else elapsed_s - waited_s
        self._at, self._before = now, seen
        return max(0.0, min(counted_s, self._longest_s))


class _Scheduling(NamedTuple):
    """What the kernel knows of a thread."""

    state: str
    ran_s: float
    waited_s: float
    """For a CPU."""


def _read(pid: int) -> _Scheduling | None:
    folder = Path(f"/proc/{pid}")
    try:
        ran_ns, waited_ns, _ = (folder / "schedstat").read_text().split()
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return None
    return _Scheduling(state, int(ran_ns) * NANOSECOND, int(waited_ns) * NANOSECOND)
