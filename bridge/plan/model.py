"""What a number of callbacks and users needs."""

from __future__ import annotations

import math
from typing import NamedTuple

from bridge.plan.measured import ASSUMED, MEASURED, Assumed, Measured

SPARE_SHARE = 0.1
"""So many processes more than needed, one at least: one of them is always just being replaced."""
LEAST_BROKERS = 3
PARTITION_STEP = 12
"""Numbers of partitions are multiples of it: they can be shared out to 2, 3, 4, 6 or 12 members alike."""
MEMBERS_PER_PARTITION = 0.5
"""Members of a group for each partition: as many again can be added without changing where keys lie."""
PROCESS_FILES = 64
"""Open files of an ingress process that are no connections of clients: brokers, journal, logs."""
MB, GB, MIB = 1e6, 1e9, 2**20


class Demand(NamedTuple):
    """What is asked for."""

    callbacks_per_s: float
    """At the peak."""
    users: float
    outage_s: float
    """How long Kafka may be away, at the peak, seconds."""


class Sizing(NamedTuple):
    """What it needs. Counts are of processes, or nodes, of one core each; sizes are bytes.

    Its fields are many because each is a line of what is told.
    """

    ingress: int
    ingress_memory: float
    """Of all processes, bytes."""
    connections: float
    """In use at a time, of all processes, at least."""
    open_files: int
    """Of one process."""
    journal_bytes_per_s: float
    """Of one process in an outage."""
    journal_bytes: float
    """Of one process after the whole outage: BRIDGE_JOURNAL_MAX_BYTES and its disk."""
    drained_s: float
    """How long after the outage the backlog is gone, seconds."""
    workers: int
    """Processes of `consumers run badges`."""
    partitions: int
    topic_bytes_per_s: float
    """Into the topic at the peak, one copy."""
    topic_bytes: float
    """Kept, all copies."""
    brokers: int
    brokers_limit: str
    """What decides their number: `traffic`, `disk` or `safety`."""
    badge_bytes: float
    redis_nodes: int
    """Masters."""
    redis_limit: str
    """What decides their number: `updates`, `memory` or `one is enough`."""


def size(demand: Demand, *, measured: Measured = MEASURED, assumed: Assumed = ASSUMED) -> Sizing:
    """What a demand needs."""
    rate = demand.callbacks_per_s
    serving = _rounded_up(rate / (measured.callbacks_per_core * assumed.busy))
    ingress = serving + _spare(serving)
    connections = max(1.0, rate * measured.reply_s)
    journal_bytes_per_s = rate / serving * (assumed.event_bytes + measured.journal_overhead_bytes)
    working = _rounded_up(rate / (measured.badge_events_per_core * assumed.busy))
    workers = working + _spare(working)
    topic_bytes_per_s = rate * (assumed.event_bytes + measured.record_overhead_bytes)
    kept_s = assumed.retention_days * 86_400
    topic_bytes = topic_bytes_per_s * assumed.mean_share * kept_s * assumed.replicas
    brokers, brokers_limit = _most(
        safety=LEAST_BROKERS,
        traffic=topic_bytes_per_s * assumed.replicas / (assumed.broker_mb_s * MB),
        disk=topic_bytes / (assumed.broker_disk_gb * GB),
    )
    badge_bytes = demand.users * assumed.accounts_with_badge * measured.badge_bytes
    redis_nodes, redis_limit = _most(
        **{"one is enough": 1},
        updates=rate / (measured.redis_updates_per_core * assumed.busy),
        memory=badge_bytes / (assumed.redis_gb * GB * assumed.busy),
    )
    return Sizing(
        ingress=ingress,
        ingress_memory=ingress * measured.ingress_mib * MIB,
        connections=connections,
        open_files=PROCESS_FILES + math.ceil(connections / serving),
        journal_bytes_per_s=journal_bytes_per_s,
        journal_bytes=journal_bytes_per_s * demand.outage_s,
        drained_s=demand.outage_s * measured.drain_share,
        workers=workers,
        partitions=_partitions(workers),
        topic_bytes_per_s=topic_bytes_per_s,
        topic_bytes=topic_bytes,
        brokers=brokers,
        brokers_limit=brokers_limit,
        badge_bytes=badge_bytes,
        redis_nodes=redis_nodes,
        redis_limit=redis_limit,
    )


def _rounded_up(needed: float) -> int:
    return max(1, math.ceil(needed))


def _spare(serving: int) -> int:
    return _rounded_up(serving * SPARE_SHARE)


def _partitions(members: int) -> int:
    return PARTITION_STEP * math.ceil(members / MEMBERS_PER_PARTITION / PARTITION_STEP)


def _most(**needs: float) -> tuple[int, str]:
    """The largest of some needs, rounded up, and its name."""
    name = max(needs, key=lambda one: math.ceil(needs[one]))
    return _rounded_up(needs[name]), name
