"""How far a consumer group is behind, as the brokers know it: whether or not one of its members lives."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from common.kafka.clients import ClientArguments
from common.kafka.consumer import partitions_by_topic, stop_consumer

_ANSWER_S = 20.0
_CONNECT_S = 6.0
"""Whoever asks in an outage is not to wait for long to be told that it is one."""
_FETCH_MS = 200
_OLDEST_S = 5.0
"""So long it is tried to read what waits for its time."""
_FETCH_BYTES = 64 * 1024


class PartitionLag(NamedTuple):
    """What of a partition a group has not handled."""

    partition: int
    events: int
    committed: int | None
    """None: the group has committed nothing, and would begin at the beginning."""
    oldest_ms: int | None
    """Of the oldest event that waits, Unix milliseconds; None where none waits, or it could not be read in time."""


async def lag_of(arguments: ClientArguments, group: str, topic: str) -> list[PartitionLag] | None:
    """What a group has not handled of each partition of a topic; None: there is no such topic.

    The group is not joined, so nobody loses a partition.

    Args:
        arguments: of every client, from the settings.
        group, topic: their names.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    consumer = AIOKafkaConsumer(
        **arguments,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    try:
        async with asyncio.timeout(_ANSWER_S):
            async with asyncio.timeout(_CONNECT_S):
                await consumer.start()
            partitions = (await partitions_by_topic(consumer)).get(topic)
            if not partitions:
                return None
            consumer.assign(partitions)
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            committed = {partition: await consumer.committed(partition) for partition in partitions}
        places = {one: max(begins[one], committed[one] or 0) for one in partitions}
        waiting = {one: at for one, at in places.items() if at < ends[one]}
        oldest = await _times(consumer, waiting)
    finally:
        await stop_consumer(consumer)
    return [
        PartitionLag(one.partition, max(0, ends[one] - places[one]), committed[one], oldest.get(one))
        for one in partitions
    ]


async def _times(consumer: AIOKafkaConsumer, places: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The time of the record at each place, as far as they can be read at once."""
    found: dict[TopicPartition, int] = {}
    left = set(places)
    until = time.monotonic() + _OLDEST_S
    if left:
        consumer.assign(list(left))
        for partition in left:
            consumer.seek(partition, places[partition])
    while left and time.monotonic() < until:
        for partition, records in (await consumer.getmany(*left, timeout_ms=_FETCH_MS)).items():
            if records:
                found[partition] = records[0].timestamp
                left.discard(partition)
                consumer.pause(partition)
    return found
