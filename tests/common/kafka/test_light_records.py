"""Light records are those of aiokafka, later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer

from common.kafka.checked_records import CheckedRecords
from common.kafka.light_records import LightBatch, LightRecord, LightRecords, headers_of, make_light, values_of
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic


def write(broker: Broker, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for number in range(count):
        key, value = (None if number == 3 else b"key"), (None if number == 4 else b"%d" % number)
        producer.produce(topic, value, key, headers=[("name", b"%d" % number)], timestamp=1_790_000_000_000 + number)
        if number % 7 == 0:
            producer.flush()  # several batches
    assert not producer.flush(30)


async def read(broker: Broker, topic: str, count: int, *, light: bool, begin: int = 0) -> list[ConsumerRecord]:
    partition = TopicPartition(topic, 0)
    found: list[ConsumerRecord] = []
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False) as consumer:
        if light:
            make_light(consumer)
        consumer.assign([partition])
        consumer.seek(partition, begin)
        while len(found) < count:
            found += (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
        assert await consumer.position(partition) == begin + count
    return found


@pytest.mark.parametrize("begin", [0, 5])
async def test_a_light_record_has_all_that_the_records_of_the_client_have(
    broker: Broker, topics: Topics, begin: int
) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    write(broker, topics.events, 20)
    plain = await read(broker, topics.events, 20 - begin, light=False, begin=begin)
    light = await read(broker, topics.events, 20 - begin, light=True, begin=begin)
    assert all(isinstance(one, LightRecord) for one in light)
    assert list(map(dataclasses.astuple, light)) == list(map(dataclasses.astuple, plain))


def one_record() -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    builder.append(0, 1_790_000_000_000, b"key", b"value", [])
    return bytes(builder.build())


def light_record() -> LightRecord:
    [record] = unpacked(one_record())
    return record


def unpacked(data: bytes) -> Iterator[LightRecord]:
    partition = TopicPartition("topic", 1)
    return iter(LightBatch(partition, list(LightRecords(partition, CheckedRecords(data), 0))))


def test_a_record_has_no_attributes_that_the_client_does_not_know() -> None:
    record: Any = light_record()
    with pytest.raises(AttributeError, match="no colour"):
        record.colour  # noqa: B018
    assert (record.topic, record.partition, record.offset, record.key, record.headers) == ("topic", 1, 0, b"key", ())


def batch_of(first: int, names: list[str]) -> bytes:
    """A batch of records, each with a header of such a name, as a producer in C may send it: unchecked."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    for offset, name in enumerate(names):
        builder.append(offset, 1_790_000_000_000, b"key", b"value", [(name, b"x")])
    data = bytearray(bytes(builder.build()).replace(b"NO-TEXT", b"\xff\xfe\x80\xff\xff\xc3("))
    data[0:8] = first.to_bytes(8, "big")
    data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
    return bytes(data)


def test_a_header_whose_name_is_no_text_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever may write to a topic could end all who read it with one record."""
    data = batch_of(0, ["fine"]) + batch_of(1, ["fine", "NO-TEXT", "fine"]) + batch_of(4, ["fine"])
    records = LightRecords(TopicPartition("topic", 1), CheckedRecords(data), 0)
    assert [record.offset for record in records] == [0, 1, 4]
    assert records.next_fetch_offset == 5
    assert "topic, partition 1, offset 2, is passed over" in caplog.text
    assert "up to offset 3" in caplog.text


def test_a_damaged_batch_is_noticed() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    builder.append(0, 1_790_000_000_000, b"key", b"value", [])
    data = builder.build()
    data[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        list(unpacked(bytes(data)))


def test_part_of_a_batch_is_what_a_list_of_its_records_would_give() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 16)
    for number in range(9):
        builder.append(number, 1_790_000_000_000, b"key", b"%d" % number, [("name", b"%d" % number)])
    partition = TopicPartition("topic", 1)
    batch = LightBatch(partition, list(LightRecords(partition, CheckedRecords(bytes(builder.build())), 0)))
    every = list(batch)
    assert len(batch) == 9
    for wanted in (slice(2, 5), slice(7, 20), slice(0, 0), slice(None, None, -2)):
        assert [one.offset for one in batch[wanted]] == [one.offset for one in every[wanted]]
    assert (batch[0].offset, batch[-1].offset) == (0, 8)
    assert values_of(batch[3:6]) == values_of(every[3:6]) == [b"3", b"4", b"5"]
    assert list(map(tuple, headers_of(batch))) == headers_of(every)


def test_a_single_record_can_be_taken_of_what_was_fetched() -> None:
    record = next(LightRecords(TopicPartition("topic", 1), CheckedRecords(one_record()), 0))
    assert isinstance(record, LightRecord)
    assert record.value == b"value"
