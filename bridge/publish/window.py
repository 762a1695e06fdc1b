"""What was leased from a topic queue and Kafka has not confirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from bridge.journal.groups import Group, PendingRecord, drop_complete
from bridge.journal.journal import Journal
from bridge.journal.topic_queue import TopicQueue

BEHIND_AFTER_S = 0.25
"""A record that has waited for longer belongs to a backlog."""


class Window:
    """Groups that were leased and are not complete, oldest first. It outlives a producer: the next is given them again.

    Args:
        queue: leased from.
        journal: told what Kafka confirmed.
    """

    def __init__(self, queue: TopicQueue, journal: Journal) -> None:
        self.groups: deque[Group] = deque()
        self._queue = queue
        self._journal = journal
        self._loop = asyncio.get_running_loop()

    async def lease(self) -> Group | None:
        """The next group; None where nothing waits, or enough is here already."""
        group = await self._queue.lease()
        if group is not None:
            self.groups.append(group)
        return group

    def confirm(self, records: Sequence[PendingRecord]) -> None:
        """Kafka confirmed these records, or never will and they are kept elsewhere."""
        self._journal.confirm(records)
        drop_complete(self.groups)

    @property
    def is_behind(self) -> bool:
        """Whether what is published next is of a backlog."""
        return bool(self.groups) and self._loop.time() - self.groups[0].flushed > BEHIND_AFTER_S
