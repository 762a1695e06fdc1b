"""Reads badges back from their compacted topic, which has the last one of each user."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Protocol

import msgspec
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from common.kafka.reader import TopicReader
from common.timestamps import rfc3339, unix_ms
from consumers.badges.badge_event import MAX_COUNT
from consumers.badges.store import Badge, Owner, badge_order
from consumers.errors import RetryLater, describe
from consumers.settings import ConsumersSettings

_decode = msgspec.json.Decoder(Badge).decode


@dataclass(frozen=True)
class PublishedBadge:
    """A badge as it was written to the topic."""

    owner: Owner
    badge: Badge | None
    """None: it was let go."""
    time_ms: int | None
    """Of the badge."""
    written_ms: int
    """When it was written."""


class BadgeSource(Protocol):
    """Where badges can be read back from."""

    def read(self, *, last: int | None = None, since_ms: int | None = None) -> AsyncIterator[list[PublishedBadge]]:
        """All of them, or of each partition the `last` ones, and with these what was written since a time, Unix ms.

        Each list has the badge of an owner once at most.

        Raises:
            RetryLater: it is away.
        """


class BadgeTopic:
    """The topic of badges.

    Args:
        settings: the connection, and the name of the topic.
    """

    def __init__(self, settings: ConsumersSettings) -> None:
        self._settings = settings

    async def read(
        self, *, last: int | None = None, since_ms: int | None = None
    ) -> AsyncIterator[list[PublishedBadge]]:
        """See `BadgeSource.read`; a record that is no badge is left out."""
        settings = self._settings
        reader = TopicReader(
            settings.kafka_client(),
            settings.badges_topic,
            max_fetch_bytes=settings.fetch_max_bytes,
            last=last,
            since_ms=since_ms,
        )
        try:
            async with reader, contextlib.aclosing(reader.batches()) as batches:
                async for records in batches:
                    for badges in _in_order(records):
                        yield badges
        except (KafkaError, OSError, TimeoutError) as error:
            raise RetryLater(f"the topic {settings.badges_topic} cannot be read ({describe(error)})") from error


def _in_order(records: list[ConsumerRecord]) -> list[list[PublishedBadge]]:
    """The badges of some records, in lists that have each owner once at most.

    That is the last one, and where that is older than one before also the newest of them: what was lost in Redis may
    have been written over.
    """
    of_owner: dict[Owner, list[PublishedBadge]] = {}
    for record in records:
        if record.key is None or (one := published_badge(record)) is None:
            continue
        kept = of_owner.setdefault(one.owner, [])
        if one.badge is None:
            kept.clear()
        elif kept and (before := kept[-1].badge) is not None and badge_order(before) <= badge_order(one.badge):
            kept.pop()
        kept.append(one)
    return [list(filter(None, row)) for row in zip_longest(*of_owner.values())]


def published_badge(record: ConsumerRecord) -> PublishedBadge | None:
    """The badge, or tombstone, of a record on the topic; None where it is neither."""
    try:
        if record.value is None:
            return PublishedBadge(Owner.of_key(record.key.decode()), None, None, record.timestamp)
        badge = _decode(record.value)
        time_ms = None if badge.time is None else unix_ms(datetime.fromisoformat(badge.time))
    except (msgspec.DecodeError, ValueError, TypeError):  # TypeError: the time has no zone.
        return None
    if not _is_ours(badge, time_ms):
        return None
    return PublishedBadge(badge.owner, badge, time_ms, record.timestamp)


def _is_ours(badge: Badge, time_ms: int | None) -> bool:
    """Whether it is as workers write one: others could neither be ordered nor be put back."""
    if badge.unread is None or time_ms is None or badge.event_id is None:
        return badge.unread is None and time_ms is None and badge.event_id is None
    return 0 <= badge.unread <= MAX_COUNT and badge.time == rfc3339(time_ms)
