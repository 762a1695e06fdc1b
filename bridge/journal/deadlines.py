"""Replies that have waited as long as they may leave without an acknowledgement."""

from __future__ import annotations

import asyncio
from collections import deque

from bridge.journal.groups import Group, GroupState

CHECK_INTERVAL_S = 0.02
"""Between two looks. A deadline is taken to be so much earlier, so that it is met."""
ANSWERED = (GroupState.SYNCED, GroupState.COMPLETE)
"""States of groups whose records are resolved with True: see `Journal.confirm` and `Journal._group_synced`."""


class ReplyDeadlines:
    """Resolves records with False when they have waited for too long; the journal keeps them all the same.

    Deadlines are watched by the group, since a timer for each callback would cost more than all of the journal. Groups
    are watched in the order in which they began, so those that are due are at the head.

    Args:
        loop: the event loop.
        deadline_s: seconds from a group's begin until its records are resolved, at the latest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline_s: float) -> None:
        self._loop = loop
        self._patience_s = deadline_s - CHECK_INTERVAL_S
        self._watched: deque[Group] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, group: Group) -> None:
        """Replies may wait for records of the group."""
        self._watched.append(group)
        if self._timer is None:
            self._timer = self._loop.call_later(CHECK_INTERVAL_S, self._check)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        oldest = self._loop.time() - self._patience_s
        watched = self._watched
        while watched and (watched[0].began <= oldest or watched[0].state in ANSWERED):
            watched.popleft().resolve(False)
        self._timer = self._loop.call_later(CHECK_INTERVAL_S, self._check) if watched else None
