"""Where the records of a time begin in a partition.

Kafka finds the first record that carries a time or a later one. It knows nothing of records that carry none, as the
bridge writes them while its clock is ahead of the broker's: those before that record may be of the time asked for, too.
So reading begins at a record that carries an earlier time, of which there may be some more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

FIRST_STEP_MS = 60_000
"""So much earlier is looked first, then twice as much, and so on."""


class Since(NamedTuple):
    """What a partition has of a time and later."""

    offset: int
    """Where all of it has to be read from. Records of earlier times may lie behind it."""
    is_preceded: bool
    """Whether a record carries an earlier time. If not, what is deleted before it may be of the time asked for, too."""


async def since(
    consumer: AIOKafkaConsumer,
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    time_ms: int,
) -> dict[TopicPartition, Since]:
    """What partitions have of a time, Unix milliseconds, and later.

    Args:
        consumer: connected.
        begins: where each of them begins.
        ends: where each ends, asked for before: what has come since then is later than the time.

    Raises:
        KafkaError, OSError: Kafka does not tell.
    """
    firsts = await consumer.offsets_for_times(dict.fromkeys(begins, time_ms))
    at = {one: ends[one] if first is None else first.offset for one, first in firsts.items()}
    earlier: dict[TopicPartition, int] = {}
    step_ms = FIRST_STEP_MS
    while step_ms < time_ms and (unknown := [one for one in at if at[one] > begins[one] and one not in earlier]):
        found = await consumer.offsets_for_times(dict.fromkeys(unknown, time_ms - step_ms))
        earlier |= {one: place.offset for one, place in found.items() if place is not None and place.offset < at[one]}
        step_ms *= 2
    return {one: Since(earlier.get(one, begins[one]), is_preceded=one in earlier) for one in at}
