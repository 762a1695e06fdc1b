"""Reads the whole topic of events again and brings every badge up to date, beside workers that run or without them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from bridge.events import InvalidEventError
from common.kafka.consumer import stop_consumer
from common.kafka.topics import ensure_topics
from common.retry import backoff
from consumers.badges.badge_event import BadgeEvent
from consumers.badges.worker import Badges
from consumers.errors import RetryLater, WorkerRefusedError, describe, is_passing
from consumers.metrics import Metrics
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.worker import Context

_CONNECTED_WITHIN_S = 20.0
_FETCH_MS = 500


@dataclass
class RebuildProgress:
    """How far it is, in records of the topic."""

    total: int = 0
    read: int = 0
    events: int = 0
    """Of those read, how many were of types that badges are made of."""
    unreadable: int = 0
    waiting_for: str | None = None


async def rebuild(settings: ConsumersSettings, report: Callable[[RebuildProgress], None]) -> RebuildProgress:
    """Replay the topic from its beginning to the ends that it has now.

    Raises:
        RetryLater: Kafka or Redis is away at the start. Later it waits for them.
        WorkerRefusedError: the topic does not exist, or Redis is a cluster.
        TopicsMissingError: the topic of badges does not exist and we may not create it.
        redis.exceptions.ResponseError: what is stored is no badge.
    """
    client = settings.kafka_client()
    producer = Producer(settings.kafka_client)
    badges = Badges()
    consumer = AIOKafkaConsumer(
        **client,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # where the oldest events are deleted while we read
        max_partition_fetch_bytes=settings.fetch_max_bytes,
    )
    try:
        await badges.start(Context(settings, producer, Metrics(badges.name), alone=False))
        try:
            async with asyncio.timeout(_CONNECTED_WITHIN_S):
                await ensure_topics(client, badges.topics(settings))
                await consumer.start()
                ends = await _assign(consumer, settings.topic)
        except (KafkaError, OSError, TimeoutError) as error:
            raise RetryLater(
                f"Kafka at {settings.kafka_bootstrap_servers} cannot be used ({describe(error)}): "
                "start it, or set CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"
            ) from error
        return await _replay(consumer, ends, badges, settings.batch_max_events, report)
    finally:
        await stop_consumer(consumer)
        with contextlib.suppress(Exception):
            await asyncio.gather(badges.stop(), producer.stop())


async def _assign(consumer: AIOKafkaConsumer, topic: str) -> dict[TopicPartition, int]:
    """Assign all partitions that have records, from their beginning; their ends."""
    if topic not in await consumer.topics():
        raise WorkerRefusedError(f"the topic {topic} does not exist: set CONSUMERS_TOPIC to the topic of the events")
    first = TopicPartition(topic, 0)
    consumer.assign([first])
    await consumer.end_offsets([first])  # the client learns of a topic's partitions when it is first asked about one
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    filled = [partition for partition in partitions if ends[partition] > begins[partition]]
    consumer.assign(filled)
    for partition in filled:
        consumer.seek(partition, begins[partition])
    return {partition: ends[partition] for partition in filled}


async def _replay(
    consumer: AIOKafkaConsumer,
    ends: dict[TopicPartition, int],
    badges: Badges,
    size: int,
    report: Callable[[RebuildProgress], None],
) -> RebuildProgress:
    positions = {partition: await consumer.position(partition) for partition in ends}
    progress = RebuildProgress(total=sum(ends[partition] - position for partition, position in positions.items()))
    report(progress)
    while unfinished := [partition for partition in ends if positions[partition] < ends[partition]]:
        fetched = await consumer.getmany(*unfinished, timeout_ms=_FETCH_MS)
        for partition in unfinished:
            records = [record for record in fetched.get(partition, ()) if record.offset < ends[partition]]
            for start in range(0, len(records), size):
                batch = _wanted(records[start : start + size], badges, progress)
                await _apply(badges, batch, progress, report)
            # Not the offset of the last record: compaction and transactions leave gaps at the end.
            position = min(await consumer.position(partition), ends[partition])
            progress.read += position - positions[partition]
            positions[partition] = position
            report(progress)
    return progress


def _wanted(records: Iterable[ConsumerRecord], badges: Badges, progress: RebuildProgress) -> list[BadgeEvent]:
    messages: list[BadgeEvent] = []
    for record in records:
        try:
            message = badges.read(record)
        except InvalidEventError:
            progress.unreadable += 1
        else:
            if message is not None:
                messages.append(message)
    progress.events += len(messages)
    return messages


async def _apply(
    badges: Badges, batch: Sequence[BadgeEvent], progress: RebuildProgress, report: Callable[[RebuildProgress], None]
) -> None:
    for delay in backoff():
        try:
            await badges.handle(batch)
        except Exception as error:
            if not is_passing(error):
                raise
            progress.waiting_for = describe(error)
            report(progress)
        else:
            progress.waiting_for = None
            return
        await asyncio.sleep(delay)
