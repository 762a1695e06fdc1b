"""Reading a topic whole, with gaps in it and without."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from confluent_kafka import Producer

from common.kafka.reader import TopicReader
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic


def write(broker: Broker, topic: str, partition: int, *values: str, transaction: str = "") -> None:
    """Write records; in a transaction, whose end is a marker that takes an offset and is no record."""
    settings = {"transactional.id": transaction} if transaction else {}
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0, **settings})
    if transaction:
        producer.init_transactions(20)
        producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    if transaction:
        producer.commit_transaction(20)
    assert not producer.flush(20)


async def read(broker: Broker, topic: str, told: list[tuple[int, int]] | None = None) -> list[tuple[int, str]]:
    """Partition and value of each record."""
    found = []
    report = (lambda read, total: told.append((read, total))) if told is not None else lambda _read, _total: None
    async with (
        TopicReader({"bootstrap_servers": broker.bootstrap}, topic, report=report) as reader,
        aclosing(reader.batches()) as batches,
    ):
        async for batch in batches:
            found += [(record.partition, record.value.decode()) for record in batch]
    return found


async def test_all_records_are_read_partition_by_partition_in_order(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=3)
    write(broker, topics.events, 2, "x", "y")
    write(broker, topics.events, 0, *map(str, range(500)))
    told: list[tuple[int, int]] = []
    expected = [(0, str(number)) for number in range(500)] + [(2, "x"), (2, "y")]
    assert await read(broker, topics.events, told) == expected
    assert told[-1] == (502, 502)


async def test_offsets_that_no_record_has_do_not_hold_it_up(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    write(broker, topics.events, 0, "a", "b", transaction=topics.events)
    told: list[tuple[int, int]] = []
    assert await read(broker, topics.events, told) == [(0, "a"), (0, "b")]
    assert told[-1] == (3, 3), "the end of the transaction has an offset too"


async def test_what_is_written_while_it_reads_is_not_read(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    write(broker, topics.events, 0, "before")
    async with TopicReader({"bootstrap_servers": broker.bootstrap}, topics.events) as reader:
        write(broker, topics.events, 0, "after")
        values = [record.value async for batch in reader.batches() for record in batch]
    assert values == [b"before"]


@pytest.mark.parametrize("partitions", [0, 2], ids=["none", "empty"])
async def test_a_topic_without_records_is_read_at_once_and_not_created(
    broker: Broker, topics: Topics, partitions: int
) -> None:
    if partitions:
        create_topic(broker.bootstrap, topics.events, partitions=partitions)
    async with TopicReader({"bootstrap_servers": broker.bootstrap}, topics.events) as reader:
        assert reader.exists == bool(partitions)
        assert reader.total == 0
        assert [batch async for batch in reader.batches()] == []
