"""What is fetched is checked batch by batch, in every form that a broker may send."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from common.kafka.checked_records import CheckedRecords


def batch(first: int, count: int, compression: int = 0) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 20)
    for number in range(count):
        builder.append(number, 1_790_000_000_000, b"key", b"%d" % (first + number), [])
    return bytearray(builder.build())


def legacy() -> bytearray:
    builder: Any = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    builder.append(0, 1_790_000_000_000, b"key", b"old", [])
    return bytearray(builder.build())


def wholes(data: bytes) -> list[bool]:
    records = CheckedRecords(data)
    found = []
    while records.has_next():
        records.next_batch()
        found.append(records.is_whole())
    return found


def test_consumers_of_this_process_have_them() -> None:
    assert fetcher.MemoryRecords is CheckedRecords


@pytest.mark.parametrize("damaged", [None, 0, 1, 2])
def test_each_batch_is_checked_by_itself(damaged: int | None) -> None:
    batches = [batch(0, 3), batch(3, 1, compression=3), batch(4, 500)]
    if damaged is not None:
        batches[damaged][-2] ^= 1
    cut = batch(504, 2)[:-5]
    assert wholes(bytes(b"".join((*batches, cut)))) == [number != damaged for number in range(3)]


def test_a_batch_of_before_that_check_sum_is_checked_by_its_own() -> None:
    """A broker has such of a topic that is older than Kafka 0.11."""
    whole, damaged = legacy(), legacy()
    damaged[-2] ^= 1
    assert (wholes(bytes(whole)), wholes(bytes(damaged))) == ([True], [False])


def test_of_a_part_of_a_batch_there_is_none() -> None:
    part = bytes(batch(0, 1)[:-1])
    records = CheckedRecords(part)
    assert not records.has_next()
    assert records.size_in_bytes() == len(part)
