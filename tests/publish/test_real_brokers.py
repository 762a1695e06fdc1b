"""Whatever real brokers say to a batch: nothing is lost, keys keep their order, and a retry writes nothing twice."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack, unpack, unpack_from

import pytest
from aiokafka.errors import (
    KafkaError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from bridge.publish.produce.fate import error_of
from bridge.publish.produce.requests import Requests
from bridge.publish.producer_session import ProducerSession
from common.kafka.idempotent_client import IdempotentClient
from tests.conftest import MakeBroker
from tests.publish.line import Line, judge
from tests.support.broker import Broker
from tests.support.cluster import Cluster, Node
from tests.support.http import until
from tests.support.ports import free_port
from tests.support.topic import ANSWERS_WITHIN_S, Topics, alter_config, create_topic
from tests.support.waiting import wait_until

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
FORGETFUL = {"producer.id.expiration.ms": "500", "producer.id.expiration.check.interval.ms": "100"}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The error codes that brokers have given."""
    codes: list[int] = []

    def noted(code: int) -> KafkaError:
        codes.append(code)
        return error_of(code)

    monkeypatch.setattr("bridge.publish.producer_session.error_of", noted)
    return codes


async def until_said(error: type[KafkaError], said: list[int]) -> None:
    async with asyncio.timeout(120):
        while error.errno not in said:  # noqa: ASYNC110 - a list of what others say
            await asyncio.sleep(0.02)


async def test_a_topic_that_is_deleted_and_made_again_holds_up_nothing(
    own_broker: Broker, topics: Topics, tmp_path: Path, said: list[int]
) -> None:
    create_topic(own_broker.bootstrap, topics.events)
    line = Line(tmp_path, own_broker.bootstrap, topics, topic_partitions=4)
    async with line.feeding():
        await line.advance(200)
        admin = AdminClient({"bootstrap.servers": own_broker.bootstrap})
        await asyncio.to_thread(admin.delete_topics([topics.events])[topics.events].result, ANSWERS_WITHIN_S)
        await until_said(UnknownTopicOrPartitionError, said)
        await asyncio.to_thread(create_topic, own_broker.bootstrap, topics.events)
        await line.advance(200)
        since = line.appended
        await line.advance(400)
    found = await line.end()
    assert {b"%d" % number for number in range(since, line.appended)} <= {message.value for message in found}


async def test_a_broker_that_has_forgotten_the_producer_costs_nothing(
    make_broker: MakeBroker, topics: Topics, tmp_path: Path
) -> None:
    broker = make_broker(extra_properties=FORGETFUL).start()
    create_topic(broker.bootstrap, topics.events, partitions=2)
    line = Line(tmp_path, broker.bootstrap, topics)
    for _ in range(3):
        async with line.feeding():
            await line.advance(50)
        await asyncio.sleep(2)
    judge(await line.end(), line.appended, twice=line.replaced > 0)


async def test_a_client_that_is_throttled_sends_all_in_its_time(
    own_broker: Broker, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    rest = Requests._rest

    def noted(requests: Requests, node: int, seconds: float) -> None:
        rests.append(seconds)
        rest(requests, node, seconds)

    monkeypatch.setattr(Requests, "_rest", noted)
    create_topic(own_broker.bootstrap, topics.events, partitions=2)
    await limit_bytes_per_second(own_broker, 2_000.0)
    try:
        line = Line(tmp_path, own_broker.bootstrap, topics)
        async with line.feeding(), asyncio.timeout(120):
            while len(rests) < 2:  # noqa: ASYNC110 - a list of what the broker says
                await asyncio.sleep(0.05)
    finally:
        await limit_bytes_per_second(own_broker, None)
    judge(await line.end(), line.appended)
    assert line.replaced == 0


async def test_one_that_may_not_write_for_a_while_loses_nothing(
    make_broker: MakeBroker, topics: Topics, tmp_path: Path, said: list[int]
) -> None:
    port = free_port()
    broker = make_broker(
        extra_listeners={"SASL_PLAINTEXT": port},
        extra_properties={
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{PLAIN} user_bridge="s3cret";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
        },
    ).start()
    create_topic(broker.bootstrap, topics.events, partitions=2)
    line = Line(
        tmp_path,
        broker.bootstrap,
        topics,
        kafka_bootstrap_servers=f"127.0.0.1:{port}",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="bridge",
        kafka_sasl_password="s3cret",
    )
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    rule = (ResourceType.TOPIC, topics.events, ResourcePatternType.LITERAL, "User:bridge", "*", AclOperation.WRITE)
    async with line.feeding():
        await line.advance(200)
        denied = AclBinding(*rule, AclPermissionType.DENY)
        await asyncio.to_thread(admin.create_acls([denied])[denied].result, ANSWERS_WITHIN_S)
        await until_said(TopicAuthorizationFailedError, said)
        await line.advance(100)
        again = AclBindingFilter(*rule, AclPermissionType.DENY)
        await asyncio.to_thread(admin.delete_acls([again])[again].result, ANSWERS_WITHIN_S)
        await line.advance(200)
    judge(await line.end(), line.appended)


def alive(kind: type) -> int:
    """How many there are of this kind."""
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


async def test_producers_that_are_given_up_leave_nothing_behind(
    own_broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    create_topic(own_broker.bootstrap, topics.events, partitions=2)
    before = Counter(type(one) for one in gc.get_objects())
    line = Line(tmp_path, own_broker.bootstrap, topics, kafka_stall_s=0.5)
    async with line.feeding():
        await line.advance(50)
        for times in range(1, 4):
            own_broker.freeze()
            async with asyncio.timeout(120):
                while line.replaced < times:  # noqa: ASYNC110 - a counter of metrics
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(own_broker.thaw)
            async with asyncio.timeout(120):
                while line.publisher.state != "confirming":  # noqa: ASYNC110 - `confirms` may be older
                    await asyncio.sleep(0.05)
        for kind in (IdempotentClient, ProducerSession, Requests):
            # One for each topic; a moment more while one that hears nothing for half a second is replaced once more.
            await until(lambda kind=kind: alive(kind) - before[kind] <= 2)  # type: ignore[misc]
    judge(await line.end(), line.appended, twice=True)


# -- Three nodes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Cluster]:
    del broker  # Asked for so that these tests are known to need a real Kafka.
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def is_led_by_others(cluster: Cluster, topic: str, node: Node) -> bool:
    """Whether a node leads no partition of a topic any more."""
    bootstrap = ",".join(one.bootstrap for one in cluster.nodes if one is not node)
    found = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=ANSWERS_WITHIN_S).topics[topic]
    return all(one.leader not in {node.number, -1} for one in found.partitions.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hurt", "heal"),
    [(Node.kill, Node.start), (Node.freeze, Node.thaw), (Node.stop, Node.start)],
    ids=["killed", "frozen", "stopped"],
)
async def test_where_the_leaders_move_each_record_is_there_once(
    hurt: Callable[[Node], None], heal: Callable[[Node], object], cluster: Cluster, topics: Topics, tmp_path: Path
) -> None:
    create_topic(cluster.bootstrap, topics.events, partitions=6, replicas=3)
    line = Line(tmp_path, cluster.bootstrap, topics, topic_replication=3, kafka_stall_s=120)
    node = cluster.nodes[0]
    async with line.feeding():
        await line.advance(300)
        await asyncio.to_thread(hurt, node)
        await asyncio.to_thread(
            wait_until, lambda: is_led_by_others(cluster, topics.events, node), timeout=60, what="other leaders"
        )
        await line.advance(300)
        await asyncio.to_thread(heal, node)
        await asyncio.to_thread(cluster.wait_whole)
        await line.advance(300)
    judge(await line.end(), line.appended)
    assert line.replaced == 0


@pytest.mark.slow
async def test_where_not_enough_replicas_are_in_sync_for_a_while_each_record_is_there_once(
    cluster: Cluster, topics: Topics, tmp_path: Path, said: list[int]
) -> None:
    create_topic(cluster.bootstrap, topics.events, partitions=3, replicas=3)
    line = Line(tmp_path, cluster.bootstrap, topics, topic_replication=3, kafka_stall_s=120)
    async with line.feeding():
        await line.advance(300)
        alter_config(cluster.bootstrap, topics.events, "min.insync.replicas", "3")
        cluster.nodes[2].freeze()
        await until_said(NotEnoughReplicasError, said)
        alter_config(cluster.bootstrap, topics.events, "min.insync.replicas", "2")
        await line.advance(300)
        await asyncio.to_thread(cluster.nodes[2].thaw)
        await asyncio.to_thread(cluster.wait_whole)
    judge(await line.end(), line.appended)
    assert line.replaced == 0


# -- Quotas ------------------------------------------------------------------------------------------------------------


async def limit_bytes_per_second(broker: Broker, limit: float | None) -> None:
    """How much each client may produce; None: as much as it likes. By hand: AlterClientQuotas, version 0."""
    key, entity = b"producer_byte_rate", b"client-id"
    message = pack(">hhih", 49, 0, 1, -1)
    message += pack(">ii", 1, 1) + pack(">h", len(entity)) + entity + pack(">h", -1)
    message += pack(">ih", 1, len(key)) + key + pack(">d??", limit or 0.0, limit is None, False)
    host, _, port = broker.bootstrap.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(pack(">i", len(message)) + message)
    (length,) = unpack(">i", await reader.readexactly(4))
    _correlation, _throttle_ms, _entries, code = unpack_from(">iiih", await reader.readexactly(length))
    writer.close()
    assert code == 0
