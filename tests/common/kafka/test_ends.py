"""Producers and consumers end in time, whatever their brokers do, and leave nothing behind that works on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from common.kafka.consumer import partitions_by_topic, stop_consumer
from common.kafka.producer import abandon, is_dead, make_producer, stop_producer
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic, read_all

NEVER_S = 30.0
"""Much longer than an end takes, and much shorter than the client would wait for a broker that is away."""


async def leftovers(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Tasks that were not there before and still run a moment later."""
    new = asyncio.all_tasks() - before
    _, running = await asyncio.wait(new, timeout=NEVER_S) if new else (set(), set())
    return running


@pytest.mark.parametrize("end", [abandon, stop_producer])
async def test_a_producer_whose_broker_is_frozen_ends_and_sends_nothing_more(
    own_broker: Broker, topics: Topics, end: Callable[[Any], Awaitable[None]]
) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    before = asyncio.all_tasks()
    producer = make_producer({"bootstrap_servers": own_broker.bootstrap})
    await producer.start()
    await producer.send_and_wait(topics.events, b"confirmed", partition=0)
    own_broker.freeze()
    await producer.send(topics.events, b"in flight", partition=0)
    while not producer._sender._in_flight:  # noqa: ASYNC110 - aiokafka offers no event for it
        await asyncio.sleep(0)
    async with asyncio.timeout(NEVER_S):
        await end(producer)
    assert is_dead(producer)
    assert not await leftovers(before)
    own_broker.thaw()


async def test_a_producer_that_waits_for_metadata_can_be_abandoned(own_broker: Broker, topics: Topics) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    before = asyncio.all_tasks()
    producer = make_producer({"bootstrap_servers": own_broker.bootstrap})
    await producer.start()
    await producer.send_and_wait(topics.events, b"confirmed", partition=0)
    own_broker.freeze()
    await producer.send(topics.events, b"in flight", partition=0)
    while not producer._sender._in_flight:  # noqa: ASYNC110 - aiokafka offers no event for it
        await asyncio.sleep(0)
    update = producer.client.force_metadata_update()
    async with asyncio.timeout(NEVER_S):
        await abandon(producer)
        assert not await update
    assert is_dead(producer)
    assert not await leftovers(before)
    own_broker.thaw()


async def test_a_producer_that_was_never_started_can_be_abandoned() -> None:
    producer = make_producer({"bootstrap_servers": "127.0.0.1:1"})
    await abandon(producer)
    assert not is_dead(producer), "it has no task that could have died"


async def test_a_producer_that_is_stopped_has_sent_what_it_had(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    producer = make_producer({"bootstrap_servers": broker.bootstrap}, compression="lz4", max_batch_bytes=1000)
    await producer.start()
    for number in range(50):
        await producer.send(topics.events, b"%d" % number * 100, partition=0)
    await stop_producer(producer)
    assert [message.value for message in read_all(broker.bootstrap, topics.events)] == [
        b"%d" % number * 100 for number in range(50)
    ]


@pytest.mark.parametrize("group", [None, "a-group"], ids=["alone", "of a group"])
async def test_a_consumer_whose_broker_is_frozen_ends(own_broker: Broker, topics: Topics, group: str | None) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    before = asyncio.all_tasks()
    consumer = AIOKafkaConsumer(bootstrap_servers=own_broker.bootstrap, group_id=group, auto_offset_reset="earliest")
    if group:
        consumer.subscribe([topics.events])
    else:
        consumer.assign([TopicPartition(topics.events, 0)])
    await consumer.start()
    await consumer.getmany(timeout_ms=100)
    own_broker.freeze()
    async with asyncio.timeout(NEVER_S):
        await stop_consumer(consumer)
    assert not await leftovers(before)
    own_broker.thaw()


async def test_the_partitions_of_all_topics_are_known_without_using_one(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=3)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
    await consumer.start()
    try:
        found = await partitions_by_topic(consumer)
    finally:
        await stop_consumer(consumer)
    assert found[topics.events] == [TopicPartition(topics.events, number) for number in range(3)]
    assert topics.dlq not in found


async def test_that_no_broker_answers_is_a_connection_error(own_broker: Broker) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=own_broker.bootstrap)
    await consumer.start()
    own_broker.kill()
    try:
        with pytest.raises(KafkaConnectionError):
            await partitions_by_topic(consumer)
    finally:
        await stop_consumer(consumer)
