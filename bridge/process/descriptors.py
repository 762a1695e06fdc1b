"""How many files and connections a process may have open, and how many of them are for callbacks."""

from __future__ import annotations

import logging
import resource

from bridge.settings import BridgeSettings

log = logging.getLogger(__name__)

RESERVE = 160
"""Descriptors for all but callbacks: the admin port, the journal and those that are adopted, Kafka, the process."""
LEAST = 16
"""With fewer connections than these, no ingress can work."""


def most_connections(settings: BridgeSettings) -> int:
    """As many connections as the settings want, or as the limit of open files allows, which is raised where it can be.

    Raises:
        OSError: it allows hardly any. The message says what to do.
    """
    reserve = RESERVE + (settings.decision_connections if settings.decision_urls else 0)
    wanted = settings.max_connections + reserve
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        if raised > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = max(soft, raised)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings.max_connections
    allowed = soft - reserve
    if allowed < min(LEAST, settings.max_connections):
        raise OSError(
            f"the limit of open files is {soft}, of which {reserve} are for the journal, Kafka and health checks: raise"
            " it (ulimit -n, LimitNOFILE= of systemd, ulimits of compose)"
        )
    log.warning(
        "BRIDGE_MAX_CONNECTIONS is %d, but the limit of open files is %d: there will be %d connections at most. Raise "
        "the limit (ulimit -n, LimitNOFILE= of systemd, ulimits of compose), or lower the setting",
        settings.max_connections,
        soft,
        allowed,
    )
    return allowed
