"""Reads badges back from their compacted topic, which has the last one of each user."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from common.kafka.reader import TopicReader
from common.timestamps import unix_ms
from consumers.badges.store import Badge
from consumers.errors import RetryLater, describe
from consumers.settings import ConsumersSettings

_decode = msgspec.json.Decoder(Badge).decode


@dataclass(frozen=True)
class PublishedBadge:
    """A badge as it was written to the topic."""

    badge: Badge
    time_ms: int | None
    """Of the badge."""
    written_ms: int
    """When it was written."""


class BadgeSource(Protocol):
    """Where badges can be read back from."""

    def read(self, *, last: int | None = None) -> AsyncIterator[list[PublishedBadge]]:
        """All of them, or of each partition the `last` ones.

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

    async def read(self, *, last: int | None = None) -> AsyncIterator[list[PublishedBadge]]:
        """See `BadgeSource.read`; a record that is no badge is left out."""
        settings = self._settings
        reader = TopicReader(
            settings.kafka_client(), settings.badges_topic, max_fetch_bytes=settings.fetch_max_bytes, last=last
        )
        try:
            async with reader, contextlib.aclosing(reader.batches()) as batches:
                async for records in batches:
                    if badges := _newest(records):
                        yield badges
        except (KafkaError, OSError, TimeoutError) as error:
            raise RetryLater(f"the topic {settings.badges_topic} cannot be read ({describe(error)})") from error


def _newest(records: list[ConsumerRecord]) -> list[PublishedBadge]:
    """The badges of some records, of each key the last one."""
    last = {record.key: record for record in records}
    return [badge for record in last.values() if (badge := _published(record)) is not None]


def _published(record: ConsumerRecord) -> PublishedBadge | None:
    if record.value is None:
        return None
    try:
        badge = _decode(record.value)
        time_ms = None if badge.time is None else unix_ms(datetime.fromisoformat(badge.time))
    except (msgspec.DecodeError, ValueError):
        return None
    return PublishedBadge(badge, time_ms, record.timestamp)
