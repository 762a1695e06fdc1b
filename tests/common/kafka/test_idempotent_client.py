"""What a client is told by real brokers, and that it ends, whatever they do."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError, UnknownTopicOrPartitionError
from confluent_kafka import Producer

from bridge.publish.produce.batch import BatchForm
from bridge.publish.produce.request import ProduceAnswer, ProduceRequest
from common.kafka.idempotent_client import IdempotentClient
from tests.common.kafka.test_ends import NEVER_S, leftovers
from tests.conftest import MakeBroker
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic, read_all


def client_of(broker: Broker, topic: str, request_timeout_s: float = 10.0) -> IdempotentClient:
    return IdempotentClient(
        {"bootstrap_servers": broker.bootstrap}, topic, client_id="test", request_timeout_s=request_timeout_s
    )


def batch(client: IdempotentClient, value: bytes, sequence: int) -> bytearray:
    """A batch of one record."""
    builder = BatchForm(client.producer_id, client.producer_epoch).builder(sequence)
    builder.append(0, 1, b"key", value, [])
    built: bytearray = builder.build()
    return built


async def test_each_client_has_an_id_of_its_own_and_knows_partitions_and_leaders(
    broker: Broker, topics: Topics
) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=3)
    first, second = client_of(broker, topics.events), client_of(broker, topics.events)
    await first.start()
    await second.start()
    assert first.producer_id >= 0
    assert first.producer_epoch == 0
    assert first.producer_id != second.producer_id
    assert await first.partitions() == 3
    assert list(first.leaders) == [1, 1, 1]
    await first.hear_a_leader(within_s=10)
    await first.abandon()
    await second.abandon()


async def test_a_topic_that_is_not_there_is_asked_for_as_long_as_a_request_may_take(
    broker: Broker, topics: Topics
) -> None:
    client = client_of(broker, topics.events, request_timeout_s=0.5)
    await client.start()
    with pytest.raises(UnknownTopicOrPartitionError):
        await client.partitions()
    assert list(client.leaders) == []
    create_topic(broker.bootstrap, topics.events, partitions=2)
    assert await client.partitions() == 2
    await client.abandon()


async def test_a_broker_takes_what_it_is_sent_twice_once(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    client = client_of(broker, topics.events)
    await client.start()
    await client.partitions()
    requests = [
        ProduceRequest(topics.events, [(0, batch(client, b"%d" % number, number))], timeout_s=5)
        for number in (0, 1, 0, 1, 2)
    ]
    answers = await asyncio.gather(*[client.send(1, one) for one in requests])
    assert [answer.error_codes for answer in answers] == [{0: 0}] * 5
    out_of_order = ProduceRequest(topics.events, [(0, batch(client, b"9", 9))], timeout_s=5)
    assert (await client.send(1, out_of_order)).error_codes == {0: 45}
    await client.abandon()
    assert [message.value for message in read_all(broker.bootstrap, topics.events)] == [b"0", b"1", b"2"]


async def test_one_that_is_abandoned_while_its_broker_is_frozen_leaves_nothing_behind(
    own_broker: Broker, topics: Topics
) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    before = asyncio.all_tasks()
    client = client_of(own_broker, topics.events)
    await client.start()
    await client.partitions()
    own_broker.freeze()
    request = client.send(1, ProduceRequest(topics.events, [(0, batch(client, b"x", 0))], timeout_s=5))
    with pytest.raises(TimeoutError):
        await client.hear_a_leader(within_s=0.1)
    async with asyncio.timeout(NEVER_S):
        await client.abandon()
        with pytest.raises(KafkaError):
            await request
    assert not await leftovers(before)
    left = weakref.ref(client)
    del client, request
    gc.collect()
    assert left() is None
    own_broker.thaw()


async def test_a_request_that_is_not_answered_fails_in_time_and_is_the_end_of_its_connection(
    own_broker: Broker, topics: Topics
) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    client = client_of(own_broker, topics.events, request_timeout_s=1.0)
    await client.start()
    await client.partitions()
    await client.greet_leaders(within_s=60)
    own_broker.freeze()
    first, second = (
        client.send(1, ProduceRequest(topics.events, [(0, batch(client, b"x", number))], timeout_s=5))
        for number in range(2)
    )
    async with asyncio.timeout(NEVER_S):
        with pytest.raises(RequestTimedOutError):
            await first
        with pytest.raises(KafkaConnectionError):
            await second
        assert not connections_of(client)
        await client.abandon()
    own_broker.thaw()


async def test_what_is_sent_while_there_is_no_connection_is_not_overtaken(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    client = client_of(broker, topics.events)
    await client.start()
    await client.partitions()
    for connection in connections_of(client).values():
        connection.close()
    answers: list[asyncio.Future[ProduceAnswer]] = []

    def send(count: int) -> None:
        for number in range(len(answers), len(answers) + count):
            request = ProduceRequest(topics.events, [(0, batch(client, b"%d" % number, number))], timeout_s=5)
            answers.append(client.send(1, request))

    send(5)
    await asyncio.sleep(0)
    send(5)
    await asyncio.wait(answers)
    send(5)
    assert [isinstance(answer, asyncio.Task) for answer in answers] == [True] * 10 + [False] * 5
    assert {answer.error_codes[0] for answer in await asyncio.gather(*answers)} == {0}
    await client.abandon()
    assert [message.value for message in read_all(broker.bootstrap, topics.events)] == [
        b"%d" % number for number in range(len(answers))
    ]


async def test_one_that_finds_no_broker_says_so_and_can_be_abandoned() -> None:
    client = IdempotentClient({"bootstrap_servers": "127.0.0.1:1"}, "t", client_id="test")
    with pytest.raises(KafkaConnectionError):
        await client.start()
    with pytest.raises(KafkaError):
        await client.hear_a_leader(within_s=1)
    await client.abandon()


@pytest.fixture
def mock_cluster() -> Iterator[str]:
    """The addresses of three brokers, each of which leads some partitions. They live as long as it does."""
    client = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 3, "log_level": 0})
    addresses = [f"{one.host}:{one.port}" for one in client.list_topics(timeout=30).brokers.values()]
    yield ",".join(addresses)
    client.flush(0)


async def test_each_leader_that_is_greeted_has_a_connection(mock_cluster: str) -> None:
    client = IdempotentClient({"bootstrap_servers": mock_cluster}, "t", client_id="test")
    await client.start()
    await client.partitions()
    leaders = set(client.leaders)
    assert leaders, "which of the three chance decides"
    await client.greet_leaders(within_s=60)
    assert leaders <= set(connections_of(client))
    await client.abandon()


async def test_one_leader_that_answers_is_enough_to_be_heard(mock_cluster: str) -> None:
    client = IdempotentClient({"bootstrap_servers": mock_cluster}, "t", client_id="test")
    await client.start()
    await client.partitions()
    (silent, *_), send = set(client.leaders), client._client.send

    async def send_to_others(node: int, request: Any) -> Any:
        if node == silent:
            raise KafkaConnectionError("it is gone")
        return await send(node, request)

    client._client.send = send_to_others
    client._leaders = [silent, next(one.nodeId for one in client._client.cluster.brokers() if one.nodeId != silent)]
    await client.hear_a_leader(within_s=60)
    client._leaders = [silent]
    with pytest.raises(KafkaConnectionError, match="it is gone"):
        await client.hear_a_leader(within_s=60)
    await client.abandon()


async def test_a_leader_that_does_not_answer_is_waited_for_no_longer_than_it_may_be(
    own_broker: Broker, topics: Topics
) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    client = client_of(own_broker, topics.events)
    await client.start()
    await client.partitions()
    own_broker.freeze()
    async with asyncio.timeout(NEVER_S):
        await client.greet_leaders(within_s=0.1)
        await client.abandon()
    own_broker.thaw()


async def test_a_connection_that_is_used_for_greetings_outlasts_the_patience_of_its_broker(
    make_broker: MakeBroker, topics: Topics
) -> None:
    broker = make_broker(extra_properties={"connections.max.idle.ms": "2000"}).start()
    create_topic(broker.bootstrap, topics.events, partitions=1)
    idle, greeting = client_of(broker, topics.events), client_of(broker, topics.events)
    for client in (idle, greeting):
        await client.start()
        await client.partitions()
        await client.greet_leaders(within_s=60)
    first, greeted = connections_of(idle), connections_of(greeting)
    async with asyncio.timeout(60):
        while connections_of(idle) == first:
            await greeting.greet_leaders(within_s=60)
            await asyncio.sleep(0.05)
    assert connections_of(greeting) == greeted
    await idle.abandon()
    await greeting.abandon()


def connections_of(client: IdempotentClient) -> dict[int, AIOKafkaConnection]:
    """Its connections that are open, by node."""
    return {node: one for (node, _), one in client._client._conns.items() if one.connected()}
