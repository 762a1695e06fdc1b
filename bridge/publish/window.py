"""What was leased from a topic queue and Kafka has not confirmed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from bridge import metrics
from bridge.journal.groups import Group, PendingRecord, drop_complete
from bridge.journal.topic_queue import TopicQueue, received_ms
from bridge.publish.publish_spans import PublishSpans
from bridge.publish.source import Source


class Window:
    """Groups that were leased and are not complete, oldest first. It outlives a producer: the next is given them again.

    Args:
        queue: leased from.
        source: told what Kafka confirmed.
        spans: of traced records; None: there are none.
    """

    def __init__(self, queue: TopicQueue, source: Source, spans: PublishSpans | None = None) -> None:
        self.groups: deque[Group] = deque()
        self._queue = queue
        self._source = source
        self._spans = spans
        self._loop = asyncio.get_running_loop()
        self._owed: deque[Group] = deque()
        """Groups that a producer left unconfirmed."""
        self._owed_since = 0.0

    async def lease(self) -> Group | None:
        """The next group; None where nothing waits, or enough is here already."""
        group = await self._queue.lease()
        if group is not None:
            self.groups.append(group)
        return group

    def confirm(self, records: Sequence[PendingRecord], *, refused: bool = False) -> None:
        """Kafka confirmed these records, or has `refused` them for good and they are kept elsewhere."""
        if records:  # Of all of them as of the first: they came together, or waited together.
            waited_s = max(0.0, time.time() - records[0].record.timestamp_ms / 1000)
            metrics.PUBLISH_SECONDS.observe_many(waited_s, len(records))
        if self._spans is None:
            self._source.confirm(records)
        else:
            with self._spans.of(records, refused=refused):
                self._source.confirm(records)
        drop_complete(self.groups)

    def stay_owed(self, since: float) -> None:
        """A producer is lost to which Kafka owed answers since then: that the next is owed none yet says nothing.

        Args:
            since: of the monotonic clock.
        """
        self._owed, self._owed_since = deque(self.groups), since

    @property
    def owed_since(self) -> float | None:
        """Since when Kafka owes what lost producers left, of the monotonic clock; None: it has all of that."""
        while self._owed and all(one.confirmed or one.is_passed_over for one in self._owed[0].records):
            self._owed.popleft()
        return self._owed_since if self._owed else None

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record here was received, Unix milliseconds; None: there is none."""
        return received_ms(self.groups[0]) if self.groups else None

    @property
    def oldest_s(self) -> float:
        """Seconds that the oldest group here has waited; for ever, where a predecessor left it."""
        return self._loop.time() - self.groups[0].flushed if self.groups else 0.0
