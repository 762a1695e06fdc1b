"""Every metric of the ingress. Label values are bounded: commands of the registry, reasons and topics of ours.

Counters and histograms are counted where a thing happens; most gauges are set in `bridge.process.gauges`.
`docs/metrics.md` is made of these declarations; `bridge.process.totals` adds several processes up by them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, ProcessCollector

from bridge.events import registry
from common.metrics import loop_lag
from common.metrics.catalogue import Aggregate, Catalogue, Declaration
from common.metrics.of_process import OF_PROCESS, BuildInfo, tell_of_process

OTHER = "other"
"""In the place of a command that has no entry in the registry."""
REFUSAL_REASONS = (
    *("method", "unknown_app", "signature_missing", "bad_signature", "stale_time", "stale_not_kept", "expired"),
    *("address", "slow_head", "head_too_large", "malformed", "no_length", "content_coding", "transfer_coding"),
    *("expectation", "slow_body", "broken_body", "too_large", "record_too_large", "bodies", "in_flight"),
    *("journal_full", "deadline", "fault"),
)
"""Those of `bridge.ingress.refusals`."""
DEAD_LETTER_REASONS = (
    *("empty", "not_json", "not_an_object", "too_deep", "too_many_values", "empty_batch", "too_many_events"),
    *("too_large", "stale_time"),
)
"""Those of `bridge.normalize`, and of callbacks with a stale time."""
RELOAD_OUTCOMES = ("done", "refused", "failed")
DECIDED = ("allowed", "refused", "partly_refused", "dropped", "changed", "answered", "ignored")
UNDECIDED = ("late", "unreachable", "status", "invalid", "undocumented_code", "busy", "skipped", "unreadable")

REGISTRY = CollectorRegistry()
PARENT_REGISTRY = CollectorRegistry()
"""Of what the parent of the processes tells of itself."""
ProcessCollector(registry=PARENT_REGISTRY)
BUILD = BuildInfo("bridge")
tell_of_process(REGISTRY, BUILD)
_CATALOGUE = Catalogue(REGISTRY)
_OF_PARENT = Catalogue(PARENT_REGISTRY)

# -- Callbacks and their replies ---------------------------------------------------------------------------------------

ACCEPTED = _CATALOGUE.fast_counter(
    "bridge_accepted",
    "Callbacks that were acknowledged, by command (`other`: not in the registry).",
    "command",
    known=[*(entry.callback.command for entry in registry.ENTRIES), OTHER],
    is_told_of_each=True,
)
REFUSED = _CATALOGUE.counter(
    "bridge_refused",
    "Callbacks that were not kept, by reason: refused, or answered all the same since the platform waits for that.",
    ["reason"],
    known=REFUSAL_REASONS,
)
REPLY_SECONDS = _CATALOGUE.fast_histogram(
    "bridge_reply_seconds",
    "From the request's head to its reply.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2),
)
IN_FLIGHT = _CATALOGUE.gauge("bridge_in_flight", "Callbacks that wait for their reply.", is_told_of_each=True)
IN_FLIGHT_LIMIT = _CATALOGUE.gauge("bridge_in_flight_limit", "How many may: BRIDGE_MAX_IN_FLIGHT of each process.")
CLOCK_SKEW = _CATALOGUE.gauge(
    "bridge_clock_skew_seconds", "RequestTime of the last signed callback minus our clock.", total=Aggregate.FARTHEST
)
DEAD_LETTERS = _CATALOGUE.counter(
    "bridge_dead_letters", "Callbacks kept as dead letters, by reason.", ["reason"], known=DEAD_LETTER_REASONS
)
DRIFT = _CATALOGUE.counter(
    "bridge_drift",
    "Differences between callbacks and their documentation, by kind, command and field (`other`: too many to tell).",
    ["kind", "command", "field"],
)
DECISIONS = _CATALOGUE.counter(
    "bridge_decisions",
    f"Callbacks that an endpoint was to decide, by command and outcome: what it decided ({', '.join(DECIDED)}) or why"
    f" it did not ({', '.join(UNDECIDED)}).",
    ["command", "outcome"],
)
DECISION_SECONDS = _CATALOGUE.histogram(
    "bridge_decision_seconds",
    "How long an endpoint that decides took, whatever came of it.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1),
)

# -- Connections and memory --------------------------------------------------------------------------------------------

CONNECTIONS = _CATALOGUE.gauge("bridge_connections", "Connections of clients that are open.", is_told_of_each=True)
CONNECTIONS_LIMIT = _CATALOGUE.gauge(
    "bridge_connections_limit",
    "How many may be open: BRIDGE_MAX_CONNECTIONS of each process, as far as its limit of open files allows.",
)
CONNECTIONS_DISPLACED = _CATALOGUE.counter(
    "bridge_connections_displaced",
    "Connections closed to make room for new ones, by kind: `unproven` (no authentic request came), `proven` (idle).",
    ["kind"],
    known=("unproven", "proven"),
)
TLS_HANDSHAKES_FAILED = _CATALOGUE.counter(
    "bridge_tls_handshakes_failed", "TLS handshakes of clients that failed; the log says why."
)
TLS_CERTIFICATE_EXPIRY = _CATALOGUE.gauge(
    "bridge_tls_certificate_expiry_timestamp_seconds",
    "When the certificate in that file expires, or one that signed it and stands behind it, as Unix time.",
    ["file"],
    total=Aggregate.LEAST,
)
BODY_BYTES = _CATALOGUE.gauge("bridge_body_bytes", "What bodies take that are on their way to a reply.")
BODY_BUDGET = _CATALOGUE.gauge(
    "bridge_body_budget_bytes", "What they may take: BRIDGE_BODIES_MAX_BYTES of each process."
)
LOOP_LAG_SECONDS = _CATALOGUE.fast_histogram("bridge_loop_lag_seconds", loop_lag.MEANING, buckets=loop_lag.BUCKETS_S)

# -- The journal -------------------------------------------------------------------------------------------------------

EVENTS_WAITING = _CATALOGUE.gauge(
    "bridge_events_waiting", "Records that Kafka has not confirmed, in memory and on disk.", is_told_of_each=True
)
OLDEST_SECONDS = _CATALOGUE.gauge(
    "bridge_oldest_waiting_seconds",
    "Age of the oldest record that Kafka has not confirmed, 0 where there is none.",
    total=Aggregate.MOST,
    is_told_of_each=True,
)
GATHERED = _CATALOGUE.size_histogram(
    "bridge_gathered_records", "How many records gathered, to be offered to Kafka and written together.", doublings=10
)
JOURNAL_BYTES = _CATALOGUE.gauge(
    "bridge_journal_bytes", "What the journal holds on disk for Kafka.", is_told_of_each=True
)
JOURNAL_BUDGET = _CATALOGUE.gauge(
    "bridge_journal_budget_bytes", "What it may hold: BRIDGE_JOURNAL_MAX_BYTES of each process.", is_told_of_each=True
)
JOURNAL_ROOM = _CATALOGUE.gauge(
    "bridge_journal_room_bytes",
    "What is left of that, also for a quarantine beyond its own budget; at 0 the disk takes nothing more.",
    is_told_of_each=True,
)
JOURNALS_NEWER = _CATALOGUE.gauge(
    "bridge_journals_of_newer_format",
    "Journals without an owner that only a newer version of the program understands: what they hold waits for it.",
    total=Aggregate.MOST,
)
MEMORY_BYTES = _CATALOGUE.gauge(
    "bridge_memory_bytes", "What is neither on disk nor in Kafka yet.", is_told_of_each=True
)
MEMORY_BUDGET = _CATALOGUE.gauge(
    "bridge_memory_budget_bytes", "What may be neither: BRIDGE_MEMORY_MAX_BYTES of each process."
)
DISK_FREE = _CATALOGUE.gauge(
    "bridge_disk_free_bytes", "What is free on the disk of the journals.", total=Aggregate.LEAST
)
SYNC_SECONDS = _CATALOGUE.histogram(  # The writer thread adds to it.
    "bridge_sync_seconds",
    "How long the disk took for a sync of the journal, with what was written in passing.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
DISK_OK = _CATALOGUE.gauge(
    "bridge_disk_ok", "1 while the journal's disk takes records.", total=Aggregate.LEAST, is_told_of_each=True
)
QUARANTINED = _CATALOGUE.counter(
    "bridge_set_aside",
    "Records that Kafka refuses for good, by topic: look into the journal's folder.",
    ["topic"],
)
QUARANTINE_FILES = _CATALOGUE.gauge(
    "bridge_quarantine_files", "Records that Kafka refuses for good, on disk.", total=Aggregate.MOST
)
QUARANTINE_BYTES = _CATALOGUE.gauge(
    "bridge_quarantine_bytes", "What they take on disk; see BRIDGE_QUARANTINE_MAX_BYTES.", total=Aggregate.MOST
)

# -- Kafka -------------------------------------------------------------------------------------------------------------

PUBLISHED = _CATALOGUE.counter("bridge_published", "Records that Kafka confirmed, by topic.", ["topic"])
PUBLISH_SECONDS = _CATALOGUE.fast_histogram(
    "bridge_publish_seconds",
    "From a record's receipt to its confirmation by Kafka, through outages and restarts too; for all that one answer of"
    " Kafka confirms as for the first of them.",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 900, 3600, 14400, 86400),
)
PRODUCER_REPLACED = _CATALOGUE.counter("bridge_producer_replaced", "Kafka producers that had to be given up.")
KAFKA_OK = _CATALOGUE.gauge(
    "bridge_kafka_ok", "1 while Kafka confirms records.", total=Aggregate.LEAST, is_told_of_each=True
)
DEGRADED = _CATALOGUE.gauge(
    "bridge_degraded",
    "1 while only one of disk and Kafka makes records durable, or neither.",
    total=Aggregate.MOST,
    is_told_of_each=True,
)

AUDIT_STATEMENTS = _CATALOGUE.counter(
    "bridge_audit_statements",
    "Statements for the audit by outcome: confirmed by Kafka, or failed, which says nothing of callbacks.",
    ["outcome"],
    known=("confirmed", "failed"),
)
AUDIT_EXACT = _CATALOGUE.gauge(
    "bridge_audit_exact",
    "1 while it could be said exactly what a process acknowledged last, should it be killed; 0 also without an audit.",
    total=Aggregate.LEAST,
)

# -- The allow-list ----------------------------------------------------------------------------------------------------

ALLOWED_NETWORKS = _CATALOGUE.gauge(
    "bridge_allowed_networks", "Networks that may post; 0 = any.", total=Aggregate.LEAST
)
ALLOWED_NETWORKS_AGE = _CATALOGUE.gauge(
    "bridge_allowed_networks_age_seconds",
    "With BRIDGE_ALLOWED_NETWORKS=auto: how long ago the platform named its networks, +Inf until it has; else 0.",
    total=Aggregate.MOST,
)
IP_LIST_CALLS = _CATALOGUE.counter(
    "bridge_ip_list_calls",
    "Questions to the platform which networks it calls from, by outcome: ok, unusable (it names none that can be), or"
    " busy, refused, account, failing.",
    ["outcome"],
    known=("ok", "unusable", "busy", "refused", "account", "failing"),
)

# -- The processes, and what changes them ------------------------------------------------------------------------------

READY = Declaration(
    "bridge_ready",
    "gauge",
    "1 while /readyz says 200: callbacks are accepted and can be made durable.",
    total=Aggregate.LEAST,
    is_told_of_each=True,
)
PROCESSES = Declaration("bridge_processes", "gauge", "Processes that there should be: BRIDGE_WORKERS.")
PROCESSES_ACCEPTING = Declaration("bridge_processes_accepting", "gauge", "Processes that accept callbacks.")
RESTARTS = Declaration(
    "bridge_restarts_total", "counter", "Processes that ended unasked, or hung, and were started again by their parent."
)
RELOADS = _OF_PARENT.counter(
    "bridge_reloads",
    "Reloads by outcome: done, refused (the new version or settings cannot work), failed (a new process does not start;"
    " it is tried again).",
    ["outcome"],
    known=RELOAD_OUTCOMES,
)
LAST_RELOAD_OK = _OF_PARENT.gauge(
    "bridge_last_reload_ok",
    "0 while the last reload was refused, or has failed so far; else 1, also where there was none.",
    total=Aggregate.LEAST,
)
SETTINGS_REFUSED = _CATALOGUE.gauge(
    "bridge_settings_refused",
    "1 while a file of settings, or a certificate, has changed and holds what is wrong, so that what it held before is"
    " used.",
    total=Aggregate.MOST,
)

DECLARATIONS = (
    *_CATALOGUE.declarations,
    *_OF_PARENT.declarations,
    READY,
    PROCESSES,
    PROCESSES_ACCEPTING,
    RESTARTS,
    BUILD.declaration,
    *OF_PROCESS,
)
"""All of them."""


def expect_decisions(commands: list[str]) -> None:
    """Have every outcome of these commands there from the start: an endpoint decides them."""
    for command in commands:
        for outcome in (*DECIDED, *UNDECIDED):
            DECISIONS.labels(command, outcome)
