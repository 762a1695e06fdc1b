"""A worker that says where it runs reads from the replica there, and not from the leader in another zone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from consumers.metrics import Metrics
from consumers.runtime.session import Session
from consumers.runtime.status import ServerStatus
from consumers.settings import ConsumersSettings
from tests.support.broker import Broker
from tests.support.cluster import Cluster, Node
from tests.support.topic import Topics, create_topic

NEVER_S = 120.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Cluster]:
    del broker  # Asked for so that these tests are known to need a real Kafka.
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def leader_and_follower(cluster: Cluster, topic: str) -> tuple[Node, Node]:
    """The node that leads the topic's one partition, and another one."""
    found = AdminClient({"bootstrap.servers": cluster.bootstrap}).list_topics(topic, timeout=10)
    leader = found.topics[topic].partitions[0].leader
    nodes = sorted(cluster.nodes, key=lambda node: node.number != leader)
    return nodes[0], nodes[1]


@pytest.mark.slow
async def test_records_come_from_the_replica_of_the_rack_that_is_named(cluster: Cluster, topics: Topics) -> None:
    create_topic(cluster.bootstrap, topics.events, partitions=1, replicas=3)
    leader, follower = leader_and_follower(cluster, topics.events)
    settings = ConsumersSettings.model_validate(
        {"kafka_bootstrap_servers": cluster.bootstrap, "kafka_client_rack": follower.rack}
    )
    arrived = asyncio.Queue[bytes]()

    async def deliver(_partition: TopicPartition, records: Sequence[ConsumerRecord], _stopping: asyncio.Event) -> None:
        for record in records:
            arrived.put_nowait(record.value)

    session = Session(
        settings,
        settings.kafka_client,
        topic=topics.events,
        group=topics.group,
        max_events=10,
        deliver=deliver,
        metrics=Metrics("test"),
        kafka=ServerStatus("Kafka", lambda _: None),
    )
    running = asyncio.create_task(session.run())
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    try:
        async with asyncio.timeout(NEVER_S):
            # The leader's first answer names the replica that is nearer.
            partition = TopicPartition(topics.events, 0)
            read_from = -1
            while read_from != follower.number:
                producer.produce(topics.events, b"event")
                producer.flush(60)
                assert await arrived.get() == b"event"
                read_from = session._consumer._fetcher._preferred_read_replica.get(partition, (-1, 0.0))[0]
                assert read_from != leader.number
    finally:
        running.cancel()
        await session.close(within_s=1.0)
