"""The metrics of every worker, under one set of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from common.metrics import loop_lag
from common.metrics.catalogue import Catalogue, Declaration
from common.metrics.of_process import OF_PROCESS, BuildInfo, tell_of_process
from common.rest.api import ErrorClass

Own = TypeVar("Own", Counter, Gauge)
DeadLetterReason = Literal["not_an_event", "handler_failed"]
RetryCause = Literal["waiting", "failed"]

_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BATCH_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class OwnMetric(NamedTuple):
    """A metric that a worker of this package has besides: `consumers_<name>`, labels `worker` and these."""

    name: str
    """Of a counter without `_total`."""
    kind: Literal["counter", "gauge"]
    meaning: str
    labels: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """What the last label may be: there from the start, at 0."""


BADGES_LOST = OwnMetric(
    "badges_lost", "gauge", "1 from when Redis was found to lack badges until they are put back, else 0."
)
REDIS_EVICTED_KEYS = OwnMetric(
    "redis_evicted_keys",
    "counter",
    "Keys that the Redis of the badges threw away to make room while the worker ran, badges perhaps among them.",
)
FORWARD_WITHOUT_ORIGINAL = OwnMetric(
    "forward_without_original", "counter", "Events skipped for want of the original callback, see BRIDGE_KEEP_RAW."
)
FORWARD_POSTS = OwnMetric(
    "forward_posts",
    "counter",
    "Posts by status class: 2xx, …; none: no reply.",
    ("status",),
    known=("none", "2xx", "3xx", "4xx", "5xx"),
)
RECONCILE_CALLS = OwnMetric(
    "reconcile_calls",
    "counter",
    "Calls of the platform's REST API.",
    ("app", "outcome"),
    known=("ok", *get_args(ErrorClass)),
)
RECONCILED_BADGES = OwnMetric(
    "reconciled_badges",
    "counter",
    "Stale badges looked at: resolved by a call (`settled`), overtaken by an event, or fresh already.",
    ("app", "outcome"),
    known=("settled", "overtaken", "fresh"),
)
STALE_BADGES = OwnMetric("stale_badges", "gauge", "Badges of the app that are stale.", ("app",))
RECONCILE_BREAKER_OPEN = OwnMetric(
    "reconcile_breaker_open", "gauge", "1 while calls of the app are stopped, else 0.", ("app",)
)
AUDIT_RECORDS = OwnMetric(
    "audit_records",
    "gauge",
    "Records of the ledger, `state`: acknowledged by ingress processes, arrived, missing, waiting, ….",
    ("state",),
)
AUDIT_DUPLICATES = OwnMetric("audit_duplicates", "gauge", "Records that came more than once, all in all.")
AUDIT_GONE_RECORDS = OwnMetric(
    "audit_gone_records", "gauge", "Records that were read, and are gone from the topics before their time."
)
AUDIT_COMPLETE_SECONDS = OwnMetric(
    "audit_complete_age_seconds", "gauge", "How long ago it is that all was proven to be there until then."
)
AUDIT_SILENT = OwnMetric(
    "audit_silent_processes", "gauge", "Ingress processes that state nothing any more, and have not ended."
)
AUDIT_ACTIVE = OwnMetric("audit_active", "gauge", "1 where this process keeps the ledger, 0 where it stands by.")
BACKFILL_MESSAGES = OwnMetric(
    "backfill_messages",
    "counter",
    "Messages of the platform's archive that were compared with the topic: on it, a dead letter, an earlier line again,"
    " or missing; those of the missing ones that were published.",
    ("app", "chat", "outcome"),
    known=("there", "dead_letters", "repeated", "missing", "published"),
)
BACKFILL_MISSING = OwnMetric(
    "backfill_missing_messages",
    "gauge",
    "Messages of the hours compared so far that are not on the topic, and were not published.",
    ("app", "chat"),
)
BACKFILL_COMPLETE_UNTIL = OwnMetric(
    "backfill_complete_until_timestamp_seconds",
    "gauge",
    "All messages that the platform sent before this time are on the topic, Unix seconds.",
    ("app", "chat"),
)
BACKFILL_EXPIRED_HOURS = OwnMetric(
    "backfill_expired_hours",
    "gauge",
    "Hours of the archive that the platform keeps no more, and that were never compared or lacked messages; each for a"
    " day from when that was found.",
    ("app", "chat"),
)
BACKFILL_BAD_LINES = OwnMetric(
    "backfill_bad_lines", "counter", "Lines of the archive that are no message.", ("app", "chat")
)
OWN_METRICS = (
    *(BADGES_LOST, REDIS_EVICTED_KEYS, FORWARD_WITHOUT_ORIGINAL, FORWARD_POSTS, RECONCILE_CALLS, RECONCILED_BADGES),
    *(STALE_BADGES, RECONCILE_BREAKER_OPEN),
    *(AUDIT_RECORDS, AUDIT_DUPLICATES, AUDIT_GONE_RECORDS, AUDIT_COMPLETE_SECONDS, AUDIT_SILENT, AUDIT_ACTIVE),
    *(BACKFILL_MESSAGES, BACKFILL_MISSING, BACKFILL_COMPLETE_UNTIL, BACKFILL_EXPIRED_HOURS, BACKFILL_BAD_LINES),
)


class Metrics:
    """One process's metrics; every one has the label `worker`. Label values are bounded by what we wrote ourselves.

    The fields are that many because each is a metric.
    """

    def __init__(self, worker: str) -> None:
        self.registry = CollectorRegistry()
        build = BuildInfo("consumers", worker=worker)
        tell_of_process(self.registry, build)
        catalogue = Catalogue(self.registry)
        self.handled = catalogue.counter(
            "consumers_handled_events", "Events that the worker handled.", ["worker"]
        ).labels(worker)
        self.skipped = catalogue.counter(
            "consumers_skipped_events", "Events of types that the worker does not want.", ["worker"]
        ).labels(worker)
        self.retries = catalogue.counter(
            "consumers_retries",
            "Batches tried again, `cause`: waiting (something is away) or failed (an event is suspected).",
            ["worker", "cause"],
            known=[(worker, cause) for cause in get_args(RetryCause)],
        )
        self.dead_letters = catalogue.counter(
            "consumers_dead_letters",
            "Events given up and written to the dead-letter topic.",
            ["worker", "reason"],
            known=[(worker, reason) for reason in get_args(DeadLetterReason)],
        )
        self.batch_seconds = catalogue.histogram(
            "consumers_batch_seconds",
            "Time from the fetch of a batch to its handled end, retries included.",
            ["worker"],
            buckets=_BATCH_SECONDS,
        ).labels(worker)
        self.batch_events = catalogue.histogram(
            "consumers_batch_events", "How many events a batch has.", ["worker"], buckets=_BATCH_EVENTS
        ).labels(worker)
        self.lag = catalogue.gauge(
            "consumers_lag_events", "Events of a partition of ours that are not handled yet.", ["worker", "partition"]
        )
        self.oldest = catalogue.gauge(
            "consumers_oldest_unhandled_seconds",
            "Age of the oldest event that is in work, 0 when there is none.",
            ["worker"],
        ).labels(worker)
        self.connected = catalogue.gauge(
            "consumers_connected", "1 while the server is reachable, else 0; `to`: kafka, redis, ….", ["worker", "to"]
        )
        self.waiting = catalogue.gauge(
            "consumers_waiting", "1 while batches wait for something that is away, else 0.", ["worker"]
        ).labels(worker)
        self.breaker_open = catalogue.gauge(
            "consumers_breaker_open",
            "1 while the worker fails on every event and so makes no dead letters any more, else 0.",
            ["worker"],
        ).labels(worker)
        self.ready = catalogue.gauge("consumers_ready", "1 while /readyz says 200.", ["worker"]).labels(worker)
        self.loop_lag_seconds = catalogue.histogram(
            "consumers_loop_lag_seconds", loop_lag.MEANING, ["worker"], buckets=loop_lag.BUCKETS_S
        ).labels(worker)
        self.worker = worker
        self.declarations: tuple[Declaration, ...] = (*catalogue.declarations, build.declaration, *OF_PROCESS)
        """Those that every worker has."""
        self._own: dict[str, Counter | Gauge] = {}

    def retried(self, cause: RetryCause) -> None:
        """Count one batch that is tried again."""
        self.retries.labels(self.worker, cause).inc()

    def dead_lettered(self, reason: DeadLetterReason) -> None:
        """Count one event given up."""
        self.dead_letters.labels(self.worker, reason).inc()

    def set_connected(self, server: str, connected: bool) -> None:
        """State of the connection to a server that the worker needs, e.g. `redis`."""
        self.connected.labels(self.worker, server).set(connected)

    def own_counter(self, metric: OwnMetric, *labels: str) -> Counter:
        """A counter that is declared here.

        Args:
            metric: it.
            labels: values of its labels but the last, whose known values are there from the start.
        """
        made = self.counter(metric.name, metric.meaning, *metric.labels)
        for value in metric.known:
            made.labels(self.worker, *labels, value)
        return made

    def own_gauge(self, metric: OwnMetric) -> Gauge:
        """A gauge that is declared here."""
        return self.gauge(metric.name, metric.meaning, *metric.labels)

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
