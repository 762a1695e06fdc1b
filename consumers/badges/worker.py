"""The worker of badges: each user's unread one-to-one messages, in Redis and on a compacted topic.

It is fast because it reads no more than it needs: one pass over the JSON of an event for the eight fields that decide a
badge, one call to Redis a batch, and one record an account and batch on the topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka import ConsumerRecord

from common.kafka.topics import Topic
from consumers.badges.badge_event import BadgeEvent, collect, read_badge_event
from consumers.badges.publishing import changed_badges, publish_badges, publish_latest
from consumers.badges.store import Badge, BadgeStore, Events, Owner
from consumers.errors import RetryLater
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context

_PING_TIMEOUT_S = 2.0


class Badges(BaseWorker[BadgeEvent]):
    """Keeps badges. Of all events of a user that it has seen, the newest by (time, id) that has a count sets it."""

    name = "badges"

    def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:
        """The compacted topic of badges."""
        return [settings.badges]

    def read(self, record: ConsumerRecord) -> BadgeEvent | None:
        """What of an event decides a badge, None for an event that decides none.

        Raises:
            InvalidEventError: the record carries no event.
        """
        return read_badge_event(record.value)

    async def start(self, context: Context) -> None:
        """Connect to Redis and see that it can keep badges.

        Raises:
            RetryLater: Redis is away.
            WorkerRefusedError: it is a Redis Cluster, or runs no scripts.
        """
        self._context = context
        self._store = BadgeStore(context.settings)
        try:
            await self._store.check()
        except BaseException:
            context.metrics.set_connected("redis", False)
            await self._store.close()
            raise
        context.metrics.set_connected("redis", True)

    async def handle(self, batch: Sequence[BadgeEvent]) -> None:
        """Bring the badges that the events are about up to date, first in Redis, then on the topic.

        Every badge is written to the topic, changed or not: a crash between the two steps heals at the redelivery.
        """
        badges = await self.update(batch)
        if not self._context.alone:
            await publish_latest(self._context, self._store, badges)
            return
        await self.publish(badges)
        if stale := [badge for badge in badges if badge.stale]:
            # While Kafka was slow `reconcile` may have resolved and published them; ours would be the last of the two.
            await publish_latest(self._context, self._store, await changed_badges(self._store, stale))

    async def update(self, batch: Iterable[BadgeEvent]) -> list[Badge]:
        """Apply events to the badges in Redis; returns those badges as they are stored then, changed or not.

        Raises:
            RetryLater: Redis is away.
        """
        events: dict[Owner, Events] = {}
        for event in batch:
            collect(event, events)
        if not events:
            return []
        try:
            badges = await self._store.update(events)
        except RetryLater:
            self._context.metrics.set_connected("redis", False)
            raise
        self._context.metrics.set_connected("redis", True)
        return badges

    async def publish(self, badges: Iterable[Badge]) -> None:
        """Write badges to their topic.

        Raises:
            RetryLater: Kafka is away.
        """
        await publish_badges(self._context, badges)

    async def probe(self) -> None:
        """Ask Redis whether it is there, for the metric `consumers_connected`."""
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                await self._store.ping()
        except (RetryLater, TimeoutError):
            self._context.metrics.set_connected("redis", False)
        else:
            self._context.metrics.set_connected("redis", True)

    async def stop(self) -> None:
        """Disconnect from Redis."""
        if hasattr(self, "_store"):
            await self._store.close()
