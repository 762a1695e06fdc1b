"""Sets the gauges of a process, from its status and from what clients take of it."""

from __future__ import annotations

import math

from bridge import metrics
from bridge.http.server import HttpServer
from bridge.ingress.ingress import Ingress
from bridge.journal.journal import Journal
from bridge.process.status import ProcessStatus
from bridge.settings import BridgeSettings


def show_status(status: ProcessStatus, journal: Journal, *, kafka_ok: bool) -> None:
    """Set what tells of the journal, its disk and Kafka.

    Args:
        status: of now.
        journal: what the status leaves out is asked of it.
        kafka_ok: whether Kafka was confirming when that was looked at last.
    """
    disk, budget, disk_ok = status.disk, journal.budget, journal.disk_ok
    metrics.EVENTS_WAITING.set(status.waiting.events)
    metrics.OLDEST_SECONDS.set(status.waiting.oldest_s)
    metrics.JOURNAL_BYTES.set(budget.stored_bytes)
    metrics.JOURNAL_BUDGET.set(budget.max_bytes)
    metrics.JOURNAL_ROOM.set(max(0, budget.max_bytes - budget.stored_bytes - budget.elsewhere_bytes))
    metrics.MEMORY_BYTES.set(journal.state.memory_bytes)
    metrics.QUARANTINE_FILES.set(disk.quarantine_files)
    metrics.QUARANTINE_BYTES.set(disk.quarantine_bytes)
    metrics.DISK_FREE.set(math.nan if disk.free_bytes is None else disk.free_bytes)
    metrics.DISK_OK.set(disk_ok)
    metrics.KAFKA_OK.set(kafka_ok)
    metrics.DEGRADED.set(not (disk_ok and kafka_ok))


def show_traffic(ingress: Ingress, server: HttpServer) -> None:
    """Set what tells of callbacks and connections."""
    metrics.IN_FLIGHT.set(ingress.in_flight)
    metrics.CONNECTIONS.set(len(server.table))
    metrics.CONNECTIONS_LIMIT.set(server.table.limit)
    metrics.BODY_BYTES.set(server.body_bytes)
    metrics.CLOCK_SKEW.set(ingress.clock_skew_s)


def show_limits(settings: BridgeSettings) -> None:
    """Set those that only a restart changes."""
    metrics.MEMORY_BUDGET.set(settings.memory_max_bytes)
    metrics.IN_FLIGHT_LIMIT.set(settings.max_in_flight)
    metrics.BODY_BUDGET.set(settings.bodies_max_bytes)
