"""How many files and connections a process may have open, and how many of them are for callbacks."""

from __future__ import annotations

import logging
import resource

from bridge.settings import BridgeSettings
from common.logs import fields

log = logging.getLogger(__name__)

RESERVE = 160
"""Descriptors for all but callbacks: the admin port, the journal and those that are adopted, Kafka, the process."""
LEAST = 16
"""With fewer connections than these, no ingress can work."""


def raise_limit() -> None:
    """Let this process, and those that it starts, have as many files open as the system allows it to want."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # More than the kernel gives to anybody (fs.nr_open).
        log.debug("the limit of open files stays at %d: %s", soft, error)


def most_connections(settings: BridgeSettings) -> int:
    """As many connections as the settings want, or as the limit of open files allows.

    Raises:
        OSError: it allows hardly any. The message says what to do.
    """
    reserve = RESERVE + (settings.decision_connections if settings.decision_urls else 0)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= settings.max_connections + reserve:
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
        extra=fields("unsafe_setting", setting="BRIDGE_MAX_CONNECTIONS"),
    )
    return allowed
