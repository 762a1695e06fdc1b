"""All connections of a process: how many there may be, which gives way when it is full, and whose time is over.

A connection is *unproven* until a request on it was authentic. Anybody can open connections and hold them; so the
unproven ones have little time, and when there are too many, the oldest of them makes room for whoever comes.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Protocol

from bridge import metrics
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

SWEEP_INTERVAL_S = 0.25
"""How often deadlines are looked at: how much later than its time a connection may be closed."""
RECENTLY_S = 10.0
"""A proven connection that had a request so lately does not give way."""
LOT = 64
"""How many proven connections give way at a time, since to find the idle ones takes a look at all."""


class TableConnection(Protocol):
    """A connection in the table."""

    deadline: float
    """When its time is over, by the clock of the event loop."""

    @property
    def may_give_way(self) -> bool:
        """Whether no reply is due on it."""

    @property
    def idle_since(self) -> float:
        """Since when it has had no request, by the clock of the event loop; infinite while it has one."""

    def expire(self) -> None:
        """Its time is over."""

    def abort(self) -> None:
        """Close it without a word."""


class ConnectionTable:
    """The connections of a process.

    Args:
        max_connections: most of them.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._unproven: dict[TableConnection, None] = {}
        self._proven: dict[TableConnection, None] = {}
        self._loop = asyncio.get_running_loop()
        self._sweep: asyncio.TimerHandle | None = None
        self._throttle = Throttle(10.0)

    @property
    def limit(self) -> int:
        """How many there may be."""
        return self._max_connections

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def __iter__(self) -> Iterator[TableConnection]:
        return iter([*self._unproven, *self._proven])

    def add(self, connection: TableConnection) -> None:
        """A connection is open."""
        self._unproven[connection] = None
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP_INTERVAL_S, self._expire)

    def prove(self, connection: TableConnection) -> None:
        """A request on it was authentic."""
        if self._unproven.pop(connection, connection) is None:
            self._proven[connection] = None

    def remove(self, connection: TableConnection) -> None:
        """A connection is closed."""
        self._unproven.pop(connection, None)
        self._proven.pop(connection, None)

    def giving_way(self, *, coming: int) -> Sequence[TableConnection] | None:
        """Which connections have to be displaced for one more: none where there is room, None where none can be.

        Args:
            coming: how many are accepted, and not in the table yet.
        """
        if len(self) + coming < self._max_connections:
            return ()
        for connection in self._unproven:
            if connection.may_give_way:
                return (connection,)
        since = self._loop.time() - RECENTLY_S
        idle = [connection for connection in self._proven if connection.idle_since < since]
        return heapq.nsmallest(LOT, idle, key=attrgetter("idle_since")) or None

    def displace(self, connections: Sequence[TableConnection]) -> None:
        """Close these for others."""
        for connection in connections:
            kind = "unproven" if connection in self._unproven else "proven"
            self.remove(connection)  # Its descriptor is closed in the next turn of the event loop.
            connection.abort()
            metrics.CONNECTIONS_DISPLACED.labels(kind).inc()
            self._log(kind)

    def _log(self, kind: str) -> None:
        if self._throttle.admits(kind):
            log.warning(
                "%d connections are open, the most that BRIDGE_MAX_CONNECTIONS and the limit of open files allow: "
                "the %s gives way to a new one; %d more before",
                self._max_connections,
                "oldest that has brought no authentic request" if kind == "unproven" else "longest idle",
                self._throttle.suppressed(kind),
                extra=fields("connections_full", kind=kind),
            )

    def _expire(self) -> None:
        now = self._loop.time()
        for connection in self:
            if connection.deadline <= now:
                self._end(connection)
        self._sweep = self._loop.call_later(SWEEP_INTERVAL_S, self._expire) if len(self) else None

    def _end(self, connection: TableConnection) -> None:
        try:
            connection.expire()
        except Exception:  # Else nobody would look at deadlines any more.
            log.exception("a connection whose time is over could not be ended as it should")
            connection.abort()
