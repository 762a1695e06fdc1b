"""The first worker: each user's unread one-to-one messages, in Redis and on a compacted topic.

It is fast because it reads no more than it needs: one pass over the JSON of an event for the eight fields that decide a
badge, one call to Redis a batch, and one record an account and batch on the topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from aiokafka import ConsumerRecord

from bridge.events import AllConversationsRead, ConversationRead, InvalidEventError, MessageRecalled, MessageSent
from common.kafka.topics import Topic
from consumers.badges.store import NO_COUNT, Badge, BadgeStore, Events, Owner
from consumers.errors import RetryLater
from consumers.runtime.producer import Record
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context

MAX_AHEAD = timedelta(minutes=5)
"""An event whose time is later than its receipt by more has a wrong clock behind it."""

_RECALLED, _SENT = MessageRecalled.callback.type, MessageSent.callback.type
_READ, _ALL_READ = ConversationRead.callback.type, AllConversationsRead.callback.type
_TYPES = frozenset({_RECALLED, _SENT, _READ, _ALL_READ})
_TO_RECEIVER = frozenset({_RECALLED, _SENT})

_ANSWERS_WITHIN_S = 2.0
_MAX_COUNT = 2**31 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_HEADERS = [("content-type", b"application/json")]

_encode = msgspec.json.Encoder().encode


class _Data(msgspec.Struct, gc=False):
    to_account: str | None = None
    report_account: str | None = None
    unread_total: int | None = None
    send_msg_result: int | None = None


class BadgeEvent(msgspec.Struct, gc=False):
    """What of an event decides a badge."""

    type: str
    id: str
    source: str
    subject: str
    time: datetime
    receivedtime: datetime
    data: _Data


class _Type(msgspec.Struct, gc=False):
    type: str


_event_of = msgspec.json.Decoder(BadgeEvent).decode
_type_of = msgspec.json.Decoder(_Type).decode


def read_badge_event(value: bytes | None) -> BadgeEvent | None:
    """The part of an event that decides a badge; None if its type decides none.

    Raises:
        InvalidEventError: it is no event.
    """
    if value is None:
        raise InvalidEventError("the record has no value")
    try:
        event = _event_of(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The fields of other types may have the same names and other forms.
        try:
            if _type_of(value).type not in _TYPES:
                return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        raise InvalidEventError(f"no event of this contract: {error}") from error
    return event if event.type in _TYPES else None


class Badges(BaseWorker[BadgeEvent]):
    """Keeps badges. Of all events of a user that it has seen, the newest by (time, id) that has a count sets it."""

    name = "badges"

    def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:
        """The compacted topic of badges."""
        return [settings.badges]

    def read(self, record: ConsumerRecord) -> BadgeEvent | None:
        """See `read_badge_event`."""
        return read_badge_event(record.value)

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
            # While Kafka was slow `reconcile` may have settled and published them; ours would be the last of the two.
            await publish_latest(self._context, self._store, await changed(self._store, stale))

    async def probe(self) -> None:
        """Ask Redis whether it is there."""
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                await self._store.ping()
        except (RetryLater, TimeoutError):
            self._context.metrics.set_connected("redis", False)
        else:
            self._context.metrics.set_connected("redis", True)

    async def update(self, batch: Iterable[BadgeEvent]) -> list[Badge]:
        """The first half of `handle`: the badges as they are stored then."""
        events: dict[Owner, Events] = {}
        for event in batch:
            collect(event, events)
        return await self._ask(events)

    async def publish(self, badges: Iterable[Badge]) -> None:
        """The second half of `handle`."""
        await publish_badges(self._context, badges)

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


async def publish_badges(context: Context, badges: Iterable[Badge]) -> None:
    """Write badges to their topic, and wait until they are confirmed.

    Raises:
        RetryLater: Kafka is away.
    """
    records = [Record(f"{badge.app_id}:{badge.account}".encode(), _encode(badge), _HEADERS) for badge in badges]
    if records:
        await context.producer.publish(context.settings.badges_topic, records)


async def publish_latest(context: Context, store: BadgeStore, badges: Sequence[Badge]) -> None:
    """The same beside other writers: what changed meanwhile is written again, until the topic ends as Redis is.

    Raises:
        RetryLater: Kafka or Redis is away.
    """
    while badges:
        await publish_badges(context, badges)
        badges = await changed(store, badges)


async def changed(store: BadgeStore, badges: Sequence[Badge]) -> list[Badge]:
    """Those of some badges that are stored differently by now, as they are stored.

    Raises:
        RetryLater: Redis is away.
    """
    stored = await store.update({Owner(badge.app_id, badge.account): [] for badge in badges})
    return [after for before, after in zip(badges, stored, strict=True) if before != after]


def collect(event: BadgeEvent, events: dict[Owner, Events]) -> None:
    """Add an event to those of its badge, in the form that the store takes; not if it can change no badge."""
    data = event.data
    kind = event.type
    account = data.to_account if kind in _TO_RECEIVER else data.report_account
    unread = None if kind == _ALL_READ else data.unread_total
    if account is None or account != event.subject or (unread is not None and unread < 0):
        return
    if kind == _SENT and data.send_msg_result:
        return
    time, received = event.time, event.receivedtime
    by_receipt = time == received or time - received > MAX_AHEAD
    owner = Owner(event.source.rpartition("/")[2], account)
    of_owner = events.get(owner)
    if of_owner is None:
        of_owner = events[owner] = []
    of_owner += (
        ((received if by_receipt else time) - _EPOCH) // _MILLISECOND,
        event.id,
        NO_COUNT if unread is None or unread > _MAX_COUNT else unread,
        by_receipt,
    )
