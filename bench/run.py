"""All rows side by side, several rounds in turn, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from bench.cores import CORES
from bench.kafkas import Kafka
from bench.measure import Frozen, HalfLoad, Saturation, ServerMeasurement, freeze, measure, quarters
from bench.rows import BRIDGE, ROWS, TWO_PROCESSES

HALF_LOAD = HalfLoad.__struct_fields__


class Result(msgspec.Struct):
    """A whole run; what the JSON file holds."""

    machine: dict[str, str]
    broker: str
    rounds: int
    seconds: float
    rows: dict[str, list[ServerMeasurement]]
    """Row → its rounds."""
    frozen: dict[str, Frozen]
    """Row → what became of callbacks while the broker was frozen for 10 s."""
    quartered: dict[str, list[float]]
    """Row → callbacks per second with a quarter of a core for each process, by round."""

    @property
    def scaling(self) -> float | None:
        """What two processes manage, in units of what one does: the median over rounds."""
        one, two = self.quartered.get(BRIDGE), self.quartered.get(TWO_PROCESSES)
        return statistics.median(b / a for a, b in zip(one, two, strict=True)) if one and two else None


def run(
    folder: Path, kafka: Kafka, *, rounds: int, seconds: float, only: Sequence[str], say: Callable[[str], None]
) -> Result:
    """Measure."""
    chosen = [row for row in ROWS if row.is_named(only)]
    measured: dict[str, list[ServerMeasurement]] = {row.name: [] for row in chosen}
    quartered: dict[str, list[float]] = {row.name: [] for row in chosen if row.name in {BRIDGE, TWO_PROCESSES}}
    frozen = {}
    for number in range(1, rounds + 1):
        for row in chosen:
            found = measure(row, folder, kafka, seconds)
            measured[row.name].append(found)
            at_64 = found.saturation["64"]
            say(f"round {number}  {row.name}: {at_64.per_second:,.0f}/s, {at_64.cpu_us:.1f} us, {at_64.busy:.0%}")
            if row.name in quartered:
                quartered[row.name].append(quarters(row, folder, kafka, seconds))
                say(f"         a quarter of a core for each process: {quartered[row.name][-1]:,.0f}/s")
    for row in chosen:
        if row.name == BRIDGE or row.name.startswith("naive"):
            say(f"broker frozen for 10 s: {row.name}")
            frozen[row.name] = freeze(row, folder, kafka)
    return Result(machine(), kafka.name, rounds, seconds, measured, frozen, quartered)


def machine() -> dict[str, str]:
    """What it was measured on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": model.partition(":")[2].strip(),
        "cores": str(len(CORES)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load average": f"{os.getloadavg()[0]:.1f}",
        "interpreter": sys.implementation.name,
    }


def middle(rounds: Sequence[ServerMeasurement]) -> ServerMeasurement:
    """The median of each figure."""

    def median_of(pick: Callable[[ServerMeasurement], float]) -> float:
        return statistics.median(map(pick, rounds))

    def saturation(number: str) -> Saturation:
        return Saturation(
            per_second=median_of(lambda one: one.saturation[number].per_second),
            cpu_us=median_of(lambda one: one.saturation[number].cpu_us),
            busy=median_of(lambda one: one.saturation[number].busy),
            load_busy=median_of(lambda one: one.saturation[number].load_busy),
            refused=sum(one.saturation[number].refused for one in rounds),
        )

    half = HalfLoad(*(statistics.median(getattr(one.half, name) for one in rounds) for name in HALF_LOAD))
    return ServerMeasurement(
        {number: saturation(number) for number in rounds[0].saturation}, half, int(median_of(lambda one: one.rss_bytes))
    )


def ratio(rounds: Iterable[Saturation], floor: Iterable[Saturation]) -> float:
    """CPU per callback relative to the floor: the median over rounds of the ratio within a round."""
    return statistics.median(one.cpu_us / other.cpu_us for one, other in zip(rounds, floor, strict=False))
