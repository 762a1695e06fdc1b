"""Every metric of a program, declared once: it is counted by that, added up over processes, and documented."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from common.metrics.fast import FastCounter, FastHistogram, SizeHistogram

# A series for each series, which says only when the process began to count.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Aggregate(Enum):
    """What a gauge is for several processes together. The value is the sentence of the reference."""

    SUM = "the sum"
    MOST = "the largest"
    LEAST = "the smallest"
    FARTHEST = "the one farthest from 0"

    def of(self, values: Iterable[float]) -> float:
        """The total of some values, at least one."""
        match self:
            case Aggregate.SUM:
                return sum(values)
            case Aggregate.MOST:
                return max(values)
            case Aggregate.LEAST:
                return min(values)
            case Aggregate.FARTHEST:
                return max(values, key=abs)


class Declaration(NamedTuple):
    """A metric, for the reference and for whoever adds processes up."""

    name: str
    """As the page of metrics has it, of a counter with `_total`."""
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    total: Aggregate = Aggregate.SUM
    is_told_of_each: bool = False
    """Whether it is told of each process besides, see `by_process`."""


def by_process(name: str) -> str:
    """The metric that tells of each process what another tells of all: `bridge_process_…` with the label `process`."""
    return f"bridge_process_{name.removeprefix('bridge_').removeprefix('process_')}"


class Catalogue:
    """Declares metrics, and makes them.

    Args:
        registry: where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.declarations: list[Declaration] = []
        self._registry = registry

    def counter(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, known: Iterable[str | tuple[str, ...]] = ()
    ) -> Counter:
        """A counter.

        Args:
            name: without `_total`.
            meaning: what it counts.
            labels: their names.
            known: what the labels may be, as far as that is known: there from the start, at 0, for `increase()` does
                not see the first of what was not there.
        """
        self._declare(f"{name}_total", "counter", meaning, labels)
        made = Counter(name, meaning, labels, registry=self._registry)
        for values in known:
            made.labels(*([values] if isinstance(values, str) else values))
        return made

    def fast_counter(
        self, name: str, meaning: str, label: str, *, known: Iterable[str], is_told_of_each: bool = False
    ) -> FastCounter:
        """A counter for what happens with every callback; arguments as for `counter` and `gauge`."""
        self._declare(f"{name}_total", "counter", meaning, [label], is_told_of_each=is_told_of_each)
        return FastCounter(name, meaning, label, known=known, registry=self._registry)

    def gauge(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str] = (),
        *,
        total: Aggregate = Aggregate.SUM,
        is_told_of_each: bool = False,
    ) -> Gauge:
        """A gauge.

        Args:
            name, meaning, labels: as for `counter`.
            total: what it is for several processes together.
            is_told_of_each: whether it is told of each of them besides.
        """
        self._declare(name, "gauge", meaning, labels, total=total, is_told_of_each=is_told_of_each)
        return Gauge(name, meaning, labels, registry=self._registry)

    def histogram(self, name: str, meaning: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> Histogram:
        """A histogram that any thread may add to."""
        self._declare(name, "histogram", meaning, labels)
        return Histogram(name, meaning, labels, buckets=buckets, registry=self._registry)

    def fast_histogram(self, name: str, meaning: str, *, buckets: Sequence[float]) -> FastHistogram:
        """A histogram that one thread adds to."""
        self._declare(name, "histogram", meaning)
        return FastHistogram(name, meaning, buckets=buckets, registry=self._registry)

    def size_histogram(self, name: str, meaning: str, *, doublings: int) -> SizeHistogram:
        """A histogram of numbers from 1 that one thread adds to; its buckets are 1, 2, 4 and so on."""
        self._declare(name, "histogram", meaning)
        return SizeHistogram(name, meaning, doublings=doublings, registry=self._registry)

    def _declare(
        self,
        name: str,
        kind: Literal["counter", "gauge", "histogram"],
        meaning: str,
        labels: Sequence[str] = (),
        *,
        total: Aggregate = Aggregate.SUM,
        is_told_of_each: bool = False,
    ) -> None:
        self.declarations.append(Declaration(name, kind, meaning, tuple(labels), total, is_told_of_each))
