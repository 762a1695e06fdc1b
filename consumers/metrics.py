"""The metrics of every worker, under one set of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

Own = TypeVar("Own", Counter, Gauge)
DeadLetterReason = Literal["not_an_event", "handler_failed"]

_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """One process's metrics; every one has the label `worker`. Label values are bounded by what we wrote ourselves."""

    def __init__(self, worker: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.handled = Counter(
            "consumers_handled_events_total", "Events that the worker handled.", ["worker"], registry=self.registry
        ).labels(worker)
        self.skipped = Counter(
            "consumers_skipped_events_total",
            "Events of types that the worker does not want.",
            ["worker"],
            registry=self.registry,
        ).labels(worker)
        self.retries = Counter(
            "consumers_retries_total",
            "Batches tried again, `cause`: waiting (something is away) or failed (an event is suspected).",
            ["worker", "cause"],
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "consumers_dead_letters_total",
            "Events given up and written to the dead-letter topic.",
            ["worker", "reason"],
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "consumers_batch_seconds",
            "Time from the fetch of a batch to its handled end, retries included.",
            ["worker"],
            buckets=_BATCH_SECONDS,
            registry=self.registry,
        ).labels(worker)
        self.lag = Gauge(
            "consumers_lag_events",
            "Events of a partition of ours that are not handled yet.",
            ["worker", "partition"],
            registry=self.registry,
        )
        self.oldest = Gauge(
            "consumers_oldest_unhandled_seconds",
            "Age of the oldest event that is in work, 0 when there is none.",
            ["worker"],
            registry=self.registry,
        ).labels(worker)
        self.connected = Gauge(
            "consumers_connected",
            "1 while the server is reachable, else 0; `to`: kafka, redis, ….",
            ["worker", "to"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "consumers_waiting",
            "1 while batches wait for something that is away, else 0.",
            ["worker"],
            registry=self.registry,
        ).labels(worker)
        self.breaker_open = Gauge(
            "consumers_breaker_open",
            "1 while the worker fails on every event and so makes no dead letters any more, else 0.",
            ["worker"],
            registry=self.registry,
        ).labels(worker)
        self.worker = worker
        self._own: dict[str, Counter | Gauge] = {}
        for cause in ("waiting", "failed"):
            self.retries.labels(worker, cause)
        for reason in ("not_an_event", "handler_failed"):
            self.dead_letters.labels(worker, reason)

    def retried(self, cause: Literal["waiting", "failed"]) -> None:
        """Count one batch that is tried again."""
        self.retries.labels(self.worker, cause).inc()

    def dead_lettered(self, reason: DeadLetterReason) -> None:
        """Count one event given up."""
        self.dead_letters.labels(self.worker, reason).inc()

    def set_connected(self, server: str, connected: bool) -> None:
        """State of the connection to a server that the worker needs, e.g. `redis`."""
        self.connected.labels(self.worker, server).set(connected)

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """A counter of the worker's own, `consumers_<name>_total`, labels `worker` and `labels`; one for each name."""
        return self._made(Counter, name, meaning, labels)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """A gauge of the worker's own, `consumers_<name>`, labels `worker` and `labels`; one for each name."""
        return self._made(Gauge, name, meaning, labels)

    def _made(self, kind: type[Own], name: str, meaning: str, labels: Sequence[str]) -> Own:
        made = self._own.get(name)
        if made is None:
            made = kind(f"consumers_{name}", meaning, ["worker", *labels], registry=self.registry)
            self._own[name] = made
        if not isinstance(made, kind):
            raise TypeError(f"consumers_{name} is a metric of another kind already")
        return made

    def set_lag(self, events_by_partition: dict[int, int]) -> None:
        """Lag of the partitions that this process has; those of others are taken off the page."""
        self.lag.clear()
        for partition, events in events_by_partition.items():
            self.lag.labels(self.worker, str(partition)).set(events)
