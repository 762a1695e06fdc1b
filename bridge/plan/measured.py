"""What one of a thing manages or takes, as `python -m bench scale` and other measurements of this repository found it.

Two kinds of constants: those that were measured, on one machine, and those of `Assumed`, which hang on machines and
prices that nobody can measure for others. docs/scale.md says of each where it comes from.
"""

from __future__ import annotations

from typing import NamedTuple


class Measured(NamedTuple):
    """Figures of one machine: its cores are those of the table in docs/performance.md."""

    callbacks_per_core: float = 36_000
    """Callbacks a second of an ingress process that has a core for itself, saturated."""
    ingress_mib: float = 131
    """Resident memory of an ingress process, MiB, after a load at saturation."""
    badge_events_per_core: float = 140_000
    """Events a second of a process of `consumers run badges`, from a full topic."""
    worker_mib: float = 164
    """Resident memory of such a process, MiB."""
    redis_updates_per_core: float = 43_000
    """Badge events a second that keep one core of Redis busy."""
    record_overhead_bytes: float = 110
    """What a record takes on the topic beside its event, bytes: key, headers, the form of Kafka."""
    journal_overhead_bytes: float = 160
    """What it takes in the journal beside its event, bytes."""
    badge_bytes: float = 162
    """What a badge takes in Redis, bytes."""
    drain_share: float = 0.23
    """How long a backlog drains, as a share of the outage that made it, while callbacks come as before."""
    reply_s: float = 0.002
    """How long a reply takes, seconds."""


class Assumed(NamedTuple):
    """Figures that you know better than we."""

    busy: float = 0.5
    """How busy a core may be at the peak, 0 to 1: the rest is for what comes unevenly, and to catch up."""
    event_bytes: float = 800
    """An event in JSON, bytes: recalls have 700, messages as much more as is written in them."""
    replicas: float = 3
    """Copies of each record on the brokers."""
    retention_days: float = 7
    """How long the topic keeps events."""
    mean_share: float = 0.3
    """Callbacks a second on the mean of a day, as a share of the peak."""
    broker_mb_s: float = 50
    """Megabytes a second that a broker takes, copies for others among them."""
    broker_disk_gb: float = 2000
    """Disk of a broker, gigabytes."""
    redis_gb: float = 16
    """Memory of a node of Redis, gigabytes."""
    accounts_with_badge: float = 1.0
    """Share of the users that have a badge in Redis."""


MEASURED = Measured()
ASSUMED = Assumed()
