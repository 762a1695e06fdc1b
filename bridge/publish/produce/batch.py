"""A batch: records of one partition that Kafka takes together or not at all, under sequence numbers of their own."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from itertools import accumulate, islice
from typing import Any, Literal, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from bridge.journal.groups import PendingRecord
from bridge.journal.record import RECORD_OVERHEAD_BYTES
from common.kafka.producer import NO_TIME_MS

MAX_BATCH_BYTES = 256 * 1024
MAGIC = 2
"""The version of the form of batches."""

CODECS = {
    "none": DefaultRecordBatch.CODEC_NONE,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


class BatchForm(NamedTuple):
    """What all batches of a producer have in common."""

    producer_id: int
    producer_epoch: int
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    with_times: bool = True
    """Whether records have their time."""

    def builder(self, base_sequence: int) -> Any:
        """The `DefaultRecordBatchBuilder` of a batch whose first record has this sequence number."""
        # Not by name, which takes 3,000 instructions: as much as all else that a new batch takes here.
        codec, is_transactional = CODECS[self.compression], 0
        builder = DefaultRecordBatchBuilder(
            *(MAGIC, codec, is_transactional, self.producer_id, self.producer_epoch, base_sequence, MAX_BATCH_BYTES)
        )
        return builder if self.with_times else _TimelessBuilder(builder)


class _TimelessBuilder:
    """Adds records without their time."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        self.size, self.build = builder.size, builder.build

    def append(self, offset: int, _timestamp_ms: int, key: bytes, value: bytes, headers: Any) -> Any:
        return self._builder.append(offset, NO_TIME_MS, key, value, headers)


class Batch:
    """A batch that is to be sent, or was sent and is not confirmed: again and again, byte for byte the same.

    Args:
        partition: where it goes.
        records: what is in it.
        builder: makes its bytes of them.
    """

    __slots__ = ("damaged", "data", "has_times", "leader", "made_at", "partition", "records", "size")

    def __init__(self, partition: int, records: list[PendingRecord], builder: Any) -> None:
        self.partition = partition
        self.records = records
        self.size: int = builder.size()
        """Bytes, before they were compressed."""
        self.data: bytearray = builder.build()
        self.made_at = time.monotonic()
        self.has_times = not isinstance(builder, _TimelessBuilder)
        self.leader: int | None = None
        """The node that has it and has not answered; None while it is not in flight."""
        self.damaged = 0
        """How often it has arrived damaged."""


def fill(builder: Any, queue: deque[PendingRecord], *, max_bytes: int, max_records: int) -> list[PendingRecord]:
    """Move records from the head of a queue to a batch, as many as it takes: one at least, however large."""
    reach = min(max_records, max_bytes // RECORD_OVERHEAD_BYTES + 1)
    records = list(islice(queue, reach))
    sizes = [pending.size for pending in records]
    if sum(sizes) > max_bytes:
        del records[max(1, bisect_right(list(accumulate(sizes)), max_bytes)) :]
    if len(records) == len(queue):
        queue.clear()
    else:
        for _ in records:
            queue.popleft()
    append = builder.append
    for offset, pending in enumerate(records):
        record = pending.record
        if append(offset, record.timestamp_ms, record.key, record.value, record.headers) is None:
            queue.extendleft(reversed(records[offset:]))
            return records[:offset]
    return records
