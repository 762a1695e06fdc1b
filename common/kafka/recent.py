"""Reads a few records of a topic: the latest about a key, or the one at an offset."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from common.kafka.clients import ClientArguments
from common.kafka.consumer import partitions_by_topic, stop_consumer
from common.kafka.light_records import make_light
from common.kafka.partition import partition_of

_ANSWER_S = 10.0
_READ_S = 8.0
_FETCH_MS = 300
_FETCH_WAIT_MS = 25


class RecentRecords(NamedTuple):
    """What was found near the end of a partition."""

    records: list[ConsumerRecord]
    """In their order."""
    is_complete: bool
    """Whether the partition was looked at from its beginning, to its end."""


async def recent_records(
    arguments: ClientArguments,
    topic: str,
    key: bytes,
    *,
    offsets: int,
    at_most: int,
    wanted: Callable[[ConsumerRecord], bool] = lambda _: True,
) -> RecentRecords:
    """The latest records with a key.

    Args:
        arguments: of every client, from the settings.
        topic: its name; nothing is found where it does not exist.
        key: of the records. Only its partition is read.
        offsets: how many of the last offsets of that partition are looked at.
        at_most: how many of what is found are kept, the latest.
        wanted: which of the records that have the key.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    consumer = _consumer(arguments)
    try:
        async with asyncio.timeout(_ANSWER_S):
            await consumer.start()
            make_light(consumer)
            partitions = (await partitions_by_topic(consumer)).get(topic, [])
            if not partitions:
                return RecentRecords([], True)
            partition = partitions[partition_of(key, len(partitions))]
            first = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
        begin = max(first, end - offsets)
        found: deque[ConsumerRecord] = deque(maxlen=at_most)
        count, position = 0, begin
        async for record in _read(consumer, partition, begin, end):
            position = record.offset + 1
            if record.key == key and wanted(record):
                found.append(record)
                count += 1
        is_complete = begin == first and position >= end and count <= at_most
        return RecentRecords(list(found), is_complete)
    finally:
        await stop_consumer(consumer)


async def record_at(arguments: ClientArguments, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
    """The record at an offset; None where there is none, or no longer.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    consumer = _consumer(arguments)
    place = TopicPartition(topic, partition)
    try:
        async with asyncio.timeout(_ANSWER_S):
            await consumer.start()
            if place not in (await partitions_by_topic(consumer)).get(topic, []):
                return None
            first = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place]
        if not first <= offset < end:
            return None
        async for record in _read(consumer, place, offset, offset + 1):
            return record
        return None
    finally:
        await stop_consumer(consumer)


def _consumer(arguments: ClientArguments) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **arguments, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=_FETCH_WAIT_MS
    )


async def _read(
    consumer: AIOKafkaConsumer, partition: TopicPartition, begin: int, end: int
) -> AsyncIterator[ConsumerRecord]:
    """The records at these offsets, as far as they can be read in time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _READ_S
    consumer.assign([partition])
    consumer.seek(partition, begin)
    while await consumer.position(partition) < end and loop.time() < until:
        for record in (await consumer.getmany(partition, timeout_ms=_FETCH_MS)).get(partition, ()):
            if begin <= record.offset < end:
                yield record
