"""Every metric of the ingress. Label values are bounded: commands of the registry, reasons and topics of ours.

Counters and histograms are counted where a thing happens; gauges are set in `bridge.process.app`.
"""

from __future__ import annotations

import collections
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
PARENT_REGISTRY = CollectorRegistry()
"""Of what the parent of the processes counts itself."""


class FastCounter(Collector):
    """A counter with one label for what happens with every callback, at a fifth of the cost of prometheus_client's.

    It takes no lock: only the event loop counts.

    Args:
        name: of the metric, without `_total`.
        documentation: what it counts.
        label: name of the label.
        registry: where it is collected.
    """

    def __init__(self, name: str, documentation: str, label: str, *, registry: CollectorRegistry) -> None:
        self._describe = name, documentation
        self._label = label
        self._counts: collections.Counter[str] = collections.Counter()
        registry.register(self)

    def count(self, value: str) -> None:
        """One more with this value of the label."""
        self._counts[value] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The present state, for a page of metrics."""
        family = CounterMetricFamily(*self._describe, labels=[self._label])
        for value, count in self._counts.items():
            family.add_metric([value], count)
        yield family


class FastHistogram(Collector):
    """A histogram without labels for what is timed with every callback.

    It takes no lock: only the event loop observes.

    Args:
        name: of the metric.
        documentation: what it times.
        buckets: upper bounds in seconds, ascending.
        registry: where it is collected.
    """

    def __init__(self, name: str, documentation: str, *, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._describe = name, documentation
        self._bounds = buckets
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The present state, for a page of metrics."""
        bounds = (*map(str, map(float, self._bounds)), "+Inf")
        family = HistogramMetricFamily(*self._describe)
        family.add_metric([], list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)
        yield family


ACCEPTED = FastCounter(
    "bridge_accepted",
    "Callbacks that were acknowledged, by command (`other`: not in the registry).",
    "command",
    registry=REGISTRY,
)
REFUSED = Counter(
    "bridge_refused",
    "Callbacks that were not kept, by reason: refused, or answered all the same since the platform waits for that.",
    ["reason"],
    registry=REGISTRY,
)
DRIFT = Counter(
    "bridge_drift",
    "Differences between callbacks and their documentation, by kind, command and field (`other`: too many to tell).",
    ["kind", "command", "field"],
    registry=REGISTRY,
)
DEAD_LETTERS = Counter(
    "bridge_dead_letters", "Callbacks kept as dead letters, by reason.", ["reason"], registry=REGISTRY
)
DECISIONS = Counter(
    "bridge_decisions",
    "Callbacks that an endpoint was to decide, by command and outcome: what it decided (allowed, refused,"
    " partly_refused, dropped, changed, answered, ignored) or why it did not (late, unreachable, status, invalid,"
    " undocumented_code, busy, skipped, unreadable).",
    ["command", "outcome"],
    registry=REGISTRY,
)
DECISION_SECONDS = Histogram(
    "bridge_decision_seconds",
    "How long an endpoint that decides took, whatever came of it.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1),
    registry=REGISTRY,
)
REPLY_SECONDS = FastHistogram(
    "bridge_reply_seconds",
    "From the request's head to its reply.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2),
    registry=REGISTRY,
)
IN_FLIGHT = Gauge("bridge_in_flight", "Callbacks that wait for their reply.", registry=REGISTRY)
CONNECTIONS = Gauge("bridge_connections", "Connections of clients that are open.", registry=REGISTRY)
CONNECTIONS_DISPLACED = Counter(
    "bridge_connections_displaced",
    "Connections closed to make room for new ones, by kind: `unproven` (no authentic request came), `proven` (idle).",
    ["kind"],
    registry=REGISTRY,
)
BODY_BYTES = Gauge("bridge_body_bytes", "What bodies take that are on their way to a reply.", registry=REGISTRY)
PUBLISHED = Counter("bridge_published", "Records that Kafka confirmed, by topic.", ["topic"], registry=REGISTRY)
PRODUCER_REPLACED = Counter("bridge_producer_replaced", "Kafka producers that had to be given up.", registry=REGISTRY)
QUARANTINED = Counter(
    "bridge_set_aside",
    "Records that Kafka refuses for good, by topic: look into the journal's folder.",
    ["topic"],
    registry=REGISTRY,
)
QUARANTINE_FILES = Gauge("bridge_quarantine_files", "Records that Kafka refuses for good, on disk.", registry=REGISTRY)
QUARANTINE_BYTES = Gauge(
    "bridge_quarantine_bytes", "What they take on disk; see BRIDGE_QUARANTINE_MAX_BYTES.", registry=REGISTRY
)
JOURNAL_BYTES = Gauge("bridge_journal_bytes", "What the journal holds on disk for Kafka.", registry=REGISTRY)
MEMORY_BYTES = Gauge("bridge_memory_bytes", "What is neither on disk nor in Kafka yet.", registry=REGISTRY)
DISK_OK = Gauge("bridge_disk_ok", "1 while the journal's disk takes records.", registry=REGISTRY)
KAFKA_OK = Gauge("bridge_kafka_ok", "1 while Kafka confirms records.", registry=REGISTRY)
DEGRADED = Gauge(
    "bridge_degraded", "1 while only one of disk and Kafka makes records durable, or neither.", registry=REGISTRY
)
CLOCK_SKEW = Gauge(
    "bridge_clock_skew_seconds", "RequestTime of the last signed callback minus our clock.", registry=REGISTRY
)
SETTINGS_REFUSED = Gauge(
    "bridge_settings_refused",
    "1 while a file of settings has changed and holds what is wrong, so that what it held before is used.",
    registry=REGISTRY,
)
ALLOWED_NETWORKS = Gauge("bridge_allowed_networks", "Networks that may post; 0 = any.", registry=REGISTRY)
ALLOWED_NETWORKS_AGE = Gauge(
    "bridge_allowed_networks_age_seconds",
    "With BRIDGE_ALLOWED_NETWORKS=auto: how long ago the platform named its networks, +Inf until it has; else 0.",
    registry=REGISTRY,
)
IP_LIST_CALLS = Counter(
    "bridge_ip_list_calls",
    "Questions to the platform which networks it calls from, by outcome: ok, unusable (it names none that can be), or"
    " busy, refused, account, failing.",
    ["outcome"],
    registry=REGISTRY,
)
RELOADS = Counter(
    "bridge_reloads",
    "Reloads by outcome: done, refused (the new version or settings cannot work), failed (a new process does not start;"
    " it is tried again).",
    ["outcome"],
    registry=PARENT_REGISTRY,
)
