"""Says when a server, or the work itself, becomes impossible and possible again: one log line and one call a change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

from common.logs import fields

log = logging.getLogger(__name__)

MAX_TOLD_REASONS = 20
"""For one wait: a worker may give another reason each time."""


class ServerStatus:
    """Whether a server was there when it was last needed; unknown at first.

    Args:
        server: what it is and where, for the log.
        on_change: told whether it is there, at first and at each change.
    """

    def __init__(self, server: str, on_change: Callable[[bool], None]) -> None:
        self._server = server
        self._on_change = on_change
        self._up: bool | None = None
        self._since = time.monotonic()
        on_change(False)

    @property
    def up(self) -> bool:
        """Whether it was there when it was last needed."""
        return self._up is True

    def reached(self) -> None:
        """Note that the server answers."""
        if self._up:
            return
        if self._up is None:
            log.info("connected to %s", self._server, extra=fields("connected", server=self._server))
        else:
            away_s = time.monotonic() - self._since
            told = fields("connected_again", server=self._server, away_s=round(away_s, 1))
            log.info("connected to %s again, after %.1f s", self._server, away_s, extra=told)
        self._set(True)

    def lost(self, reason: str) -> None:
        """Note that the server does not answer.

        Args:
            reason: why, for the log.
        """
        if self._up is not False:
            told = fields("connection_lost", server=self._server, reason=reason)
            log.warning("no connection to %s, trying again until it comes: %s", self._server, reason, extra=told)
            self._set(False)

    def _set(self, up: bool) -> None:
        self._up = up
        self._since = time.monotonic()
        self._on_change(up)


class WaitStatus:
    """Which pieces of work, mostly partitions, wait for something that is away, and why.

    Args:
        on_change: told whether any waits, at each change.
    """

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self._on_change = on_change
        self._waiting: set[Hashable] = set()
        self._since = 0.0
        self._told: set[str] = set()
        """The reasons that were logged since all waits."""
        self.reason: str | None = None
        """Of what began to wait last; None while nothing waits."""

    def begin(self, work: Hashable, reason: str) -> None:
        """Note that this piece of work has to wait, and why."""
        if not self._waiting:
            self._since = time.monotonic()
            self._on_change(True)
        self._waiting.add(work)
        self.reason = reason
        if reason not in self._told and len(self._told) < MAX_TOLD_REASONS:
            self._told.add(reason)
            log.warning("waiting, nothing is lost: %s", reason, extra=fields("waiting", reason=reason))

    def end(self, work: Hashable) -> None:
        """Note that this piece of work waits no more: it goes on."""
        if self._remove(work):
            waited_s = time.monotonic() - self._since
            told = fields("working_again", waited_s=round(waited_s, 1))
            log.info("working again, after %.1f s", waited_s, extra=told)

    def abandon(self, work: Hashable) -> None:
        """Note that this piece of work waits no more here, though it was not done: it is somebody else's by now."""
        self._remove(work)

    def _remove(self, work: Hashable) -> bool:
        """Whether nothing waits any more, and something did."""
        if work not in self._waiting:
            return False
        self._waiting.discard(work)
        if self._waiting:
            return False
        self.reason = None
        self._told.clear()
        self._on_change(False)
        return True
