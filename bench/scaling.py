"""What several processes manage: is it a line, and is it the one that `bridge plan` reckons with?

One process has a core for itself first. Then one, two and four have a quarter of it each (`bench.quarter`). If work
scales, each quarter brings as much as the one before; and if the figure for a whole core is right, four bring that.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from bench import rows
from bench.kafkas import Kafka
from bench.load.generator import LoadGenerator
from bench.machine import machine
from bench.neighbours import Neighbours, is_disturbed
from bench.quarter import SHARE, quarter
from bench.rows import SCALED_ROWS

CONNECTIONS = 1000
"""Of each load, so that none of the processes waits for callbacks."""


class Scaling(msgspec.Struct):
    """A run; what the JSON file holds."""

    machine: dict[str, str]
    whole: list[float]
    """Callbacks per second of one process with a core for itself, by round."""
    quarters: dict[int, list[float]]
    """Processes → callbacks per second with a quarter of a core for each, by round."""
    others: list[float]
    """Cores that other programs used, in one measurement after the other."""

    @property
    def per_core(self) -> float:
        """Callbacks per second of one process with a core for itself: the median."""
        return statistics.median(self.whole)

    def ratios(self, processes: int) -> list[float]:
        """What so many manage, in units of what one does with its quarter, by round."""
        return [many / one for one, many in zip(self.quarters[1], self.quarters[processes], strict=True)]

    def predicted(self, processes: int) -> float:
        """Callbacks per second of so many quarters, if a core manages what one process does with it."""
        return self.per_core * processes / SHARE

    def error(self, processes: int) -> float:
        """How far the median is from that: 0.1 is a tenth more than predicted."""
        return statistics.median(self.quarters[processes]) / self.predicted(processes) - 1

    @property
    def disturbed(self) -> int:
        """How many measurements were."""
        return sum(map(is_disturbed, self.others))


def scale(folder: Path, kafka: Kafka, *, rounds: int, seconds: float, say: Callable[[str], None]) -> Scaling:
    """Measure one process with a whole core, and several with a quarter each, in turn."""
    found = Scaling(machine(), [], {number: [] for number in SCALED_ROWS}, [])
    for number in range(1, rounds + 1):
        for processes, shared in ((1, False), *((processes, True) for processes in SCALED_ROWS)):
            per_second, others = _measure(processes, folder, kafka, seconds, shared=shared)
            (found.quarters[processes] if shared else found.whole).append(per_second)
            found.others.append(others)
            share = "a quarter of a core each" if shared else "a whole core"
            mark = " (disturbed)" if is_disturbed(others) else ""
            say(f"round {number}  {processes} x {share}: {per_second:,.0f}/s{mark}")
    return found


def _measure(processes: int, folder: Path, kafka: Kafka, seconds: float, *, shared: bool) -> tuple[float, float]:
    """Callbacks per second at saturation, and the cores that others used."""
    server = rows.start(SCALED_ROWS[processes], folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 64, min(2.0, seconds)).result()
        serving = [pid for pid in server.process.group() if pid != server.process.pid]
        share: AbstractContextManager[None] = quarter(serving) if shared else nullcontext()
        neighbours = Neighbours()
        with share:
            result = LoadGenerator(server.port, "saturate", CONNECTIONS, seconds).result()
        return float(result["replies"] / result["seconds"]), neighbours.cores()
    finally:
        server.process.close()
