"""What the tail of a topic says of records that are deleted while it is read, without a Kafka."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition

from consumers.backfill.topic_tail import TopicTail

PARTITION = TopicPartition("im.events", 0)


class At(NamedTuple):
    """A record, as far as it is looked at."""

    offset: int
    timestamp: int


class EmptiedConsumer:
    """Of a partition with records 0 to 9, which are all deleted when it is read; then there is one more."""

    begin = 0

    def __init__(self, **_options: object) -> None:
        self.at = 0

    async def start(self) -> None: ...

    async def end_offsets(self, _partitions: object) -> dict[TopicPartition, int]:
        return {PARTITION: 10}

    async def beginning_offsets(self, _partitions: object) -> dict[TopicPartition, int]:
        return {PARTITION: self.begin}

    async def offsets_for_times(self, _times: object) -> dict[TopicPartition, At]:
        return {PARTITION: At(5, 5000)}

    def assign(self, _partitions: object) -> None: ...

    def seek(self, _partition: object, offset: int) -> None:
        self.at = offset

    async def getmany(self, _partition: object, *, timeout_ms: int) -> dict[TopicPartition, list[At]]:
        assert timeout_ms
        self.begin, self.at = 10, 11
        return {PARTITION: [At(10, 77_000)]}

    async def position(self, _partition: object) -> int:
        return self.at


async def test_that_all_was_deleted_while_it_was_read_is_no_more_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def partitions(_consumer: object) -> dict[str, list[TopicPartition]]:
        return {PARTITION.topic: [PARTITION]}

    monkeypatch.setattr("consumers.backfill.topic_tail.AIOKafkaConsumer", EmptiedConsumer)
    monkeypatch.setattr("consumers.backfill.topic_tail.partitions_by_topic", partitions)
    tail = TopicTail(dict[str, Any], PARTITION.topic, from_ms=0)
    assert [list(records) async for records in tail.batches()] == [[At(10, 77_000)]]
    assert tail.kept_since_ms == 77_000
