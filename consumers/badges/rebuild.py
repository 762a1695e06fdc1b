"""Reads the whole topic of events again and brings every badge up to date, beside workers that run or without them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from bridge.events import InvalidEventError
from common.kafka.reader import TopicReader
from common.kafka.topics import ensure_topics
from consumers.badges.badge_event import BadgeEvent
from consumers.badges.worker import Badges
from consumers.errors import RetryLater, WorkerRefusedError, describe
from consumers.metrics import Metrics
from consumers.progress import retry_and_report
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.worker import Context

_CONNECT_TIMEOUT_S = 20.0


@dataclass
class RebuildProgress:
    """How far a rebuild is, in records of the topic of events."""

    total: int = 0
    """Records on the topic when it began, or more where Kafka has removed some of them."""
    read: int = 0
    events: int = 0
    """Of those read, how many were of types that badges are made of."""
    unreadable: int = 0
    """Of those read, how many were no events."""
    waiting_for: str | None = None
    """What is away, while something is."""


ReportRebuild = Callable[[RebuildProgress], None]


async def rebuild(settings: ConsumersSettings, report: ReportRebuild) -> RebuildProgress:
    """Replay the topic from its beginning to the ends that it has now.

    Args:
        settings: connections and topics.
        report: told of the progress, also of what is waited for.

    Raises:
        RetryLater: Kafka or Redis is away at the start. Later it waits for them.
        WorkerRefusedError: the topic does not exist, or Redis runs no scripts.
        TopicsMissingError: the topic of badges does not exist and we may not create it.
        ForeignKeyError: what is stored is no badge.
    """
    client = settings.kafka_client()
    producer = Producer(settings.kafka_client)
    badges = Badges(rebuilds=True)
    progress = RebuildProgress()

    def note_position(read: int, total: int) -> None:
        progress.read, progress.total = read, total
        report(progress)

    reader = TopicReader(client, settings.topic, max_fetch_bytes=settings.fetch_max_bytes, report=note_position)
    try:
        await badges.start(Context(settings, producer, Metrics(badges.name), alone=False))
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await ensure_topics(client, badges.topics(settings))
                    await stack.enter_async_context(reader)
            except (KafkaError, OSError, TimeoutError) as error:
                raise RetryLater(
                    f"Kafka at {settings.kafka_bootstrap_servers} cannot be used ({describe(error)}): "
                    "start it, or set CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"
                ) from error
            if not reader.exists:
                raise WorkerRefusedError(
                    f"the topic {settings.topic} does not exist: set CONSUMERS_TOPIC to the topic of the events"
                )
            before = await badges.losses()
            await _replay(reader, badges, settings.batch_max_events, progress, report)
            await retry_and_report(lambda: badges.end_rebuild(before), progress, report)
    finally:
        with contextlib.suppress(Exception):
            await asyncio.gather(badges.stop(), producer.stop())
    return progress


async def _replay(
    reader: TopicReader, badges: Badges, max_batch_events: int, progress: RebuildProgress, report: ReportRebuild
) -> None:
    async with contextlib.aclosing(reader.batches()) as batches:
        async for records in batches:
            for start in range(0, len(records), max_batch_events):
                batch = _read(records[start : start + max_batch_events], badges, progress)
                await _apply(batch, badges, progress, report)


def _read(records: Iterable[ConsumerRecord], badges: Badges, progress: RebuildProgress) -> list[BadgeEvent]:
    events: list[BadgeEvent] = []
    for record in records:
        try:
            event = badges.read(record)
        except InvalidEventError:
            progress.unreadable += 1
        else:
            if event is not None:
                events.append(event)
    progress.events += len(events)
    return events


async def _apply(batch: Sequence[BadgeEvent], badges: Badges, progress: RebuildProgress, report: ReportRebuild) -> None:
    await retry_and_report(lambda: badges.handle(batch), progress, report)
