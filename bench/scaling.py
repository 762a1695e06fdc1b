"""What two processes manage, in units of what one does."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import rows
from bench.kafkas import Kafka
from bench.load.generator import LoadGenerator
from bench.machine import machine
from bench.neighbours import Neighbours, is_disturbed
from bench.quarter import quarter
from bench.rows import BRIDGE, SCALED_ROWS, TWO_PROCESSES, ServerRow

CONNECTIONS = 1000


class Scaling(msgspec.Struct):
    """A run; what the JSON file holds."""

    machine: dict[str, str]
    per_second: dict[str, list[float]]
    """Row → callbacks per second with a quarter of a core for each process, by round."""
    others: list[float]
    """Cores that other programs used, in one measurement after the other."""

    @property
    def ratios(self) -> list[float]:
        """By round."""
        pairs = zip(self.per_second[BRIDGE], self.per_second[TWO_PROCESSES], strict=True)
        return [two / one for one, two in pairs]

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)

    @property
    def disturbed(self) -> int:
        """How many measurements were."""
        return sum(map(is_disturbed, self.others))


def scale(folder: Path, kafka: Kafka, *, rounds: int, seconds: float, say: Callable[[str], None]) -> Scaling:
    """Measure one process and two, in turn."""
    found = Scaling(machine(), {row.name: [] for row in SCALED_ROWS}, [])
    for number in range(1, rounds + 1):
        for row in SCALED_ROWS:
            per_second, others = _measure(row, folder, kafka, seconds)
            found.per_second[row.name].append(per_second)
            found.others.append(others)
            mark = " (disturbed)" if is_disturbed(others) else ""
            say(f"round {number}  {row.name}, a quarter of a core for each process: {per_second:,.0f}/s{mark}")
    return found


def _measure(row: ServerRow, folder: Path, kafka: Kafka, seconds: float) -> tuple[float, float]:
    """Callbacks per second at saturation, and the cores that others used."""
    server = rows.start(row, folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 64, min(2.0, seconds)).result()
        processes = server.process.group()
        neighbours = Neighbours()
        with quarter(processes if len(processes) == 1 else [pid for pid in processes if pid != server.process.pid]):
            result = LoadGenerator(server.port, "saturate", CONNECTIONS, seconds).result()
        return float(result["replies"] / result["seconds"]), neighbours.cores()
    finally:
        server.process.close()
