"""Where the records of a time begin, on a real Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer

from common.kafka.producer import NO_TIME_MS
from consumers.runtime.since import FIRST_STEP_MS, Since, since
from tests.support.broker import Broker
from tests.support.topic import Topics

TIME_MS = 1_700_000_000_000
EARLIER_MS = TIME_MS - 30 * FIRST_STEP_MS
LATER_MS = TIME_MS + 5


@pytest.fixture
async def consumer(broker: Broker) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as connected:
        yield connected


@pytest.mark.parametrize(
    ("times_ms", "found"),
    [
        ([], Since(0, is_preceded=False)),
        ([LATER_MS], Since(0, is_preceded=False)),
        ([NO_TIME_MS], Since(0, is_preceded=False)),
        ([NO_TIME_MS, LATER_MS], Since(0, is_preceded=False)),
        ([EARLIER_MS], Since(0, is_preceded=True)),
        ([EARLIER_MS, NO_TIME_MS], Since(0, is_preceded=True)),
        ([1, EARLIER_MS, NO_TIME_MS, TIME_MS, LATER_MS], Since(1, is_preceded=True)),
        ([1, TIME_MS - 2 * FIRST_STEP_MS, TIME_MS - 1, LATER_MS], Since(2, is_preceded=True)),
    ],
    ids=str,
)
async def test_all_that_may_be_of_a_time_is_read_also_what_carries_none(
    times_ms: Sequence[int], found: Since, broker: Broker, topics: Topics, consumer: AIOKafkaConsumer
) -> None:
    topics.create(broker.bootstrap)
    write(broker, topics.events, times_ms)
    one = TopicPartition(topics.events, 0)
    ends = await consumer.end_offsets([one])
    assert ends[one] == len(times_ms)
    assert await since(consumer, {one: 0}, ends, TIME_MS) == {one: found}


def write(broker: Broker, topic: str, times_ms: Sequence[int]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    for time_ms in times_ms:
        producer.produce(topic, b"{}", key=b"k", partition=0, timestamp=time_ms)
        assert producer.flush(60) == 0
