"""The bytes of a Produce request, versions 3 to 7, in parts: the batches are not copied.

aiokafka's schemas copy each batch again for every level that it lies in.
https://kafka.apache.org/protocol#The_Messages_Produce
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

API_KEY = 0
LOWEST_VERSION = 3
HIGHEST_VERSION = 7
"""The first that allows every compression; brokers from 2.1 on know it."""
ALL_REPLICAS = -1

_HEADER = Struct(">hhih")
"""API key, version, correlation id, length of the client's name."""
_BEGIN = Struct(">hhii")
"""No transaction, acks, time-out in ms, number of topics."""
_NAME = Struct(">h")
_COUNT = Struct(">i")
_BATCH = Struct(">ii")
"""Partition, length of the batch."""

TopicBatches = Sequence[tuple[int, bytes | bytearray]]
"""Partition and batch, of each partition one."""


def produce_frame(
    version: int, correlation_id: int, client_id: str, timeout_ms: int, topics: Iterable[tuple[str, TopicBatches]]
) -> list[bytes | bytearray]:
    """The parts of a request, its size in front, for what all replicas in sync must confirm.

    Args:
        version: of the request.
        correlation_id, client_id: of its header.
        timeout_ms: how long the leader waits for the replicas in sync.
        topics: name and batches of each.
    """
    topics = list(topics)
    name = client_id.encode()
    parts: list[bytes | bytearray] = [
        _HEADER.pack(API_KEY, version, correlation_id, len(name)),
        name,
        _BEGIN.pack(-1, ALL_REPLICAS, timeout_ms, len(topics)),
    ]
    for topic, batches in topics:
        encoded = topic.encode()
        parts += _NAME.pack(len(encoded)), encoded, _COUNT.pack(len(batches))
        for partition, batch in batches:
            parts += _BATCH.pack(partition, len(batch)), batch
    return [_COUNT.pack(sum(map(len, parts))), *parts]
