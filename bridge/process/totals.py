"""The page of metrics of all processes together: the same names and labels, whether there is one of them or many.

Without a label `process` a metric tells of all: counters and histograms are summed, of a gauge its declaration says
what the total is. Some are told of each process besides, as `bridge_process_…` with that label.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge import metrics
from bridge.process.handover import HandedCounts
from common.metrics.catalogue import Aggregate, Declaration, by_process

STARTED = "process_start_time_seconds"
SUMMED = frozenset({"counter", "histogram"})

_Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, str, _Labels]
"""Family, sample and labels."""
_DECLARED = {declaration.name.removesuffix("_total"): declaration for declaration in metrics.DECLARATIONS}
_SUMMED = {name: declaration for name, declaration in _DECLARED.items() if declaration.kind in SUMMED}


class ProcessPage(NamedTuple):
    """What one process tells."""

    process: str
    """Its name; that which takes its place has the same."""
    pid: int
    families: Iterable[Metric]
    has_begun: bool = True
    """Whether its gauges say anything yet."""


class Roll(NamedTuple):
    """How the processes fare, as whoever starts them knows."""

    ready: bool
    ready_by_process: Mapping[str, bool]
    wanted: int
    accepting: int
    restarts: int


@dataclass
class _Counted:
    """What a process has counted that began at that time."""

    process: str
    started: float
    values: Mapping[_Key, float]


class Totals(Collector):
    """Adds pages up.

    What a process counted stays in the totals when it is gone, so that they never fall. Of one that was killed, what it
    counted since it was asked last is lost.

    Args:
        pages: those of the processes that are alive.
        roll: how they fare.
        handed: what was counted before this program was the one that adds up.
    """

    def __init__(
        self,
        pages: Callable[[], Iterable[ProcessPage]],
        roll: Callable[[], Roll],
        handed: Iterable[HandedCounts] = (),
    ) -> None:
        self._pages = pages
        self._roll = roll
        self._described: dict[str, Metric] = {}
        """Families that were told of, without samples: they stay on the page while no process tells."""
        self._counted: dict[int, _Counted] = {}
        """By process id."""
        self._gone: defaultdict[str, defaultdict[_Key, float]] = defaultdict(lambda: defaultdict(float))
        """What processes counted that are gone, by their names."""
        for one in handed:  # Another version may have counted what this one does not know.
            values = {(name, sample, labels): value for name, sample, labels, value in one.counts if name in _SUMMED}
            self._described |= {name: Metric(name, _SUMMED[name].meaning, _SUMMED[name].kind) for name, _, _ in values}
            if one.pid:
                self._counted[one.pid] = _Counted(one.process, one.started, values)
            else:
                self._gone[one.process].update(values)

    def collect(self) -> Iterator[Metric]:
        """The page of all processes together."""
        gauges: defaultdict[tuple[str, _Labels], defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for process, pid, told, has_begun in self._pages():
            families = list(told)
            self._note_counts(process, pid, families)
            for family in families:
                if family.type not in SUMMED and has_begun:
                    for sample in family.samples:
                        gauges[family.name, tuple(sample.labels.items())][process].append(sample.value)
        made = {name: Metric(name, one.documentation, one.type) for name, one in self._described.items()}
        for (family_name, sample_name, labels), value in self._sums().items():
            made[family_name].add_sample(sample_name, dict(labels), value)
        of_each = {}
        for (family_name, labels), told_by in gauges.items():
            declared = _DECLARED.get(family_name)
            total = declared.total if declared else Aggregate.MOST
            made[family_name].add_sample(family_name, dict(labels), total.of(chain(*told_by.values())))
            if declared and declared.is_told_of_each:
                of_each[declared] = {process: total.of(values) for process, values in told_by.items()}
        yield from made.values()
        yield from (_of_each(declared, values) for declared, values in of_each.items())
        yield from self._counters_of_each()
        yield from self._of_roll()

    def retire(self, page: ProcessPage) -> None:
        """A process has ended.

        Args:
            page: what it told last.
        """
        self._note_counts(page.process, page.pid, list(page.families))
        self._fold(page.pid)

    def hand_over(self) -> list[HandedCounts]:
        """For the program that adds up from now on."""
        gone = [HandedCounts(process, _written(values)) for process, values in self._gone.items()]
        return gone + [
            HandedCounts(one.process, _written(one.values), pid, one.started)
            for pid, one in self._counted.items()
            if pid != os.getpid()  # This process tells of itself then, too.
        ]

    # -- What is counted ---------------------------------------------------------------------------------------------

    def _note_counts(self, process: str, pid: int, families: list[Metric]) -> None:
        for family in families:
            self._described.setdefault(family.name, Metric(family.name, family.documentation, family.type))
        started = next((family.samples[0].value for family in families if family.name == STARTED), None)
        if started is None:
            return  # It has told nothing yet.
        if pid in self._counted and self._counted[pid].started != started:
            self._fold(pid)
        values = {
            (family.name, sample.name, tuple(sample.labels.items())): sample.value
            for family in families
            if family.type in SUMMED
            for sample in family.samples
        }
        self._counted[pid] = _Counted(process, started, values)

    def _fold(self, pid: int) -> None:
        """Add what a process counted to what those counted that are gone."""
        if pid in self._counted:
            counted = self._counted.pop(pid)
            gone = self._gone[counted.process]
            for key, value in counted.values.items():
                gone[key] += value

    def _sums(self) -> Mapping[_Key, float]:
        summed: defaultdict[_Key, float] = defaultdict(float)
        for _, values in self._by_process():
            for key, value in values.items():
                summed[key] += value
        return summed

    def _by_process(self) -> Iterator[tuple[str, Mapping[_Key, float]]]:
        """Names, each as often as there is something of it, and what was counted."""
        yield from self._gone.items()
        yield from ((counted.process, counted.values) for counted in self._counted.values())

    def _counters_of_each(self) -> Iterator[Metric]:
        """Whatever their labels: the sum."""
        for declared in _DECLARED.values():
            if declared.kind == "counter" and declared.is_told_of_each:
                summed: defaultdict[str, float] = defaultdict(float)
                for process, values in self._by_process():
                    told = [value for (_, sample_name, _), value in values.items() if sample_name == declared.name]
                    if told:
                        summed[process] += sum(told)
                yield _of_each(declared, summed)

    # -- How the processes fare --------------------------------------------------------------------------------------

    def _of_roll(self) -> Iterator[Metric]:
        roll = self._roll()
        for declared, value in (
            (metrics.READY, roll.ready),
            (metrics.PROCESSES, roll.wanted),
            (metrics.PROCESSES_ACCEPTING, roll.accepting),
            (metrics.RESTARTS, roll.restarts),
        ):
            family = Metric(declared.name.removesuffix("_total"), declared.meaning, declared.kind)
            family.add_sample(declared.name, {}, float(value))
            yield family
        yield _of_each(metrics.READY, {name: float(ready) for name, ready in roll.ready_by_process.items()})


def _of_each(declared: Declaration, values: Mapping[str, float]) -> Metric:
    """What a metric is for each process, whatever its labels."""
    name = by_process(declared.name)
    family = Metric(name.removesuffix("_total"), f"{declared.meaning} Of each process.", declared.kind)
    for process, value in values.items():
        family.add_sample(name, {"process": process}, value)
    return family


def _written(values: Mapping[_Key, float]) -> list[tuple[str, str, _Labels, float]]:
    """For JSON, which knows finite numbers only."""
    return [(*key, value) for key, value in values.items() if math.isfinite(value)]
