"""The first worker: each user's unread one-to-one messages, in Redis and on a compacted topic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from bridge.events import AllConversationsRead, ConversationRead, Event, MessageRecalled, MessageSent
from common.topics import Topic
from consumers.badge_store import NO_COUNT, Badge, BadgeStore, Events, Owner
from consumers.errors import RetryLater
from consumers.producer import Record
from consumers.settings import ConsumersSettings
from consumers.worker import Context, Message, Worker

MAX_AHEAD = timedelta(minutes=5)
"""An event whose time is later than its receipt by more has a wrong clock behind it."""

_MAX_COUNT = 2**31 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_encode = msgspec.json.Encoder().encode


class Badges(Worker):
    """Keeps badges. Of all events of a user that it has seen, the newest by (time, id) that has a count sets it."""

    name = "badges"
    event_types = frozenset(
        data.callback.type for data in (MessageRecalled, MessageSent, ConversationRead, AllConversationsRead)
    )

    def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:
        """The compacted topic of badges."""
        return [settings.badges]

    async def start(self, context: Context) -> None:
        """Wait for Redis.

        Raises:
            WorkerRefusedError: it is a Redis Cluster.
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

    async def handle(self, batch: Sequence[Message]) -> None:
        """Bring the badges that the events are about up to date, first in Redis, then on the topic.

        Every badge is written to the topic, changed or not: a crash between the two steps heals at the redelivery.
        """
        await self.publish(await self.update(batch))

    async def update(self, batch: Iterable[Message]) -> list[Badge]:
        """The first half of `handle`: the badges as they are stored then."""
        events: dict[Owner, Events] = {}
        for message in batch:
            collect(message.event, events)
        return await self._ask(events)

    async def read(self, badges: Iterable[Badge]) -> list[Badge]:
        """The same badges as they are stored now."""
        return await self._ask({Owner(badge.app_id, badge.account): [] for badge in badges})

    async def publish(self, badges: Iterable[Badge]) -> None:
        """The second half of `handle`."""
        records = [
            Record(f"{badge.app_id}:{badge.account}".encode(), _encode(badge), [("content-type", b"application/json")])
            for badge in badges
        ]
        if records:
            await self._context.producer.publish(self._context.settings.badges_topic, records)

    async def stop(self) -> None:
        """Disconnect from Redis."""
        if hasattr(self, "_store"):
            await self._store.close()

    async def _ask(self, events: dict[Owner, Events]) -> list[Badge]:
        if not events:
            return []
        try:
            badges = await self._store.update(events)
        except RetryLater:
            self._context.metrics.set_connected("redis", False)
            raise
        self._context.metrics.set_connected("redis", True)
        return badges


def collect(event: Event, events: dict[Owner, Events]) -> None:
    """Add an event to those of its badge, in the form that the store takes; not if it can change no badge."""
    data = event.data
    if isinstance(data, MessageRecalled | MessageSent):
        account, unread = data.to_account, data.unread_total
        if isinstance(data, MessageSent) and data.send_msg_result:
            return
    elif isinstance(data, ConversationRead):
        account, unread = data.report_account, data.unread_total
    elif isinstance(data, AllConversationsRead):
        account, unread = data.report_account, None
    else:
        return
    if account is None or account != event.subject or (unread is not None and unread < 0):
        return
    by_receipt = not event.has_own_time or event.time - event.receivedtime > MAX_AHEAD
    time = event.receivedtime if by_receipt else event.time
    of_owner = events.setdefault(Owner(event.app_id, account), [])
    of_owner += (
        (time - _EPOCH) // _MILLISECOND,
        event.id,
        NO_COUNT if unread is None or unread > _MAX_COUNT else unread,
        by_receipt,
    )
