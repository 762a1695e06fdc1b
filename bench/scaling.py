"""What several processes manage: is it a line, and is it the one that `bridge plan` reckons with?

One process has a core for itself first. Then one, two and four have a quarter of it each (`bench.quarter`). If work
scales, each quarter brings as much as the one before. While a process is stopped nobody answers it, so it does not use
all of its quarter: what a core manages is compared by the CPU time that was used.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from bench import rows
from bench.cores import cpu_seconds
from bench.kafkas import Kafka
from bench.load.generator import LoadGenerator
from bench.machine import machine
from bench.neighbours import Neighbours, is_disturbed
from bench.quarter import quarter
from bench.rows import SCALED_ROWS

CONNECTIONS = 1000
"""Of each load, so that none of the processes waits for callbacks."""


class SharedCore(msgspec.Struct):
    """What processes on one core managed together."""

    per_second: float
    """Callbacks, at saturation."""
    cores: float
    """What they used of it: CPU seconds a second."""
    others: float
    """Cores that other programs used meanwhile."""

    @property
    def per_core(self) -> float:
        """Callbacks per second of a core that is busy all the time."""
        return self.per_second / self.cores


class Scaling(msgspec.Struct):
    """A run; what the JSON file holds."""

    machine: dict[str, str]
    whole: list[SharedCore]
    """One process with a core for itself, by round."""
    quarters: dict[int, list[SharedCore]]
    """Processes → what they did with a quarter of a core for each, by round."""

    @property
    def per_core(self) -> float:
        """Callbacks per second of a core that one process keeps busy: the median."""
        return statistics.median(one.per_core for one in self.whole)

    def ratios(self, processes: int) -> list[float]:
        """What so many manage, in units of what one does with its quarter, by round."""
        pairs = zip(self.quarters[1], self.quarters[processes], strict=True)
        return [many.per_second / one.per_second for one, many in pairs]

    def error(self, processes: int) -> float:
        """How far what a busy core manages is from that of one process with a core for itself: 0.1 is a tenth more."""
        return statistics.median(one.per_core for one in self.quarters[processes]) / self.per_core - 1

    @property
    def measurements(self) -> list[SharedCore]:
        """All of them."""
        return [*self.whole, *(one for some in self.quarters.values() for one in some)]

    @property
    def disturbed(self) -> int:
        """How many measurements were."""
        return sum(is_disturbed(one.others) for one in self.measurements)


def scale(folder: Path, kafka: Kafka, *, rounds: int, seconds: float, say: Callable[[str], None]) -> Scaling:
    """Measure one process with a whole core, and several with a quarter each, in turn."""
    found = Scaling(machine(), [], {number: [] for number in SCALED_ROWS})
    for number in range(1, rounds + 1):
        for processes, shared in ((1, False), *((processes, True) for processes in SCALED_ROWS)):
            one = _measure(processes, folder, kafka, seconds, shared=shared)
            (found.quarters[processes] if shared else found.whole).append(one)
            share = "a quarter of a core each" if shared else "a whole core"
            mark = " (disturbed)" if is_disturbed(one.others) else ""
            say(f"round {number}  {processes} x {share}: {one.per_second:,.0f}/s, {one.per_core:,.0f}/s and core{mark}")
    return found


def _measure(processes: int, folder: Path, kafka: Kafka, seconds: float, *, shared: bool) -> SharedCore:
    server = rows.start(SCALED_ROWS[processes], folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 64, min(2.0, seconds)).result()
        serving = [pid for pid in server.process.group() if pid != server.process.pid]
        share: AbstractContextManager[None] = quarter(serving) if shared else nullcontext()
        neighbours, before = Neighbours(), cpu_seconds(serving)
        with share:
            result = LoadGenerator(server.port, "saturate", CONNECTIONS, seconds).result()
        spent, others = cpu_seconds(serving) - before, neighbours.cores()
        return SharedCore(result["replies"] / result["seconds"], spent / result["seconds"], others)
    finally:
        server.process.close()
