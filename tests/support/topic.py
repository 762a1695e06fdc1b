"""Topics seen with librdkafka, a client that shares no code with the one under test."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from tests.support.waiting import PATIENCE, wait_until

# librdkafka writes to stderr by itself, and most tests here are about brokers that are away.
_QUIET = {"log_level": 0}
ANSWERS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """One record as it lies on the topic; `value` is None for a tombstone, `timestamp` is in milliseconds."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int
    offset: int
    timestamp: int | None

    @property
    def event(self) -> dict[str, Any]:
        """The value as a JSON object; raises orjson.JSONDecodeError."""
        parsed = orjson.loads(self.value or b"null")
        assert isinstance(parsed, dict), self
        return parsed


@dataclass(frozen=True, slots=True)
class Topics:
    """Names that no other test has: events, dead letters, badges, and the consumer group."""

    events: str
    dlq: str
    badges: str
    group: str

    @classmethod
    def unique(cls) -> Self:
        """New names."""
        run = uuid.uuid4().hex[:8]
        return cls(
            events=f"im.events.{run}", dlq=f"im.events.dlq.{run}", badges=f"im.badges.{run}", group=f"badges.{run}"
        )

    @property
    def audit(self) -> str:
        """Where ingress processes state what they took."""
        return self.events.replace("im.events", "im.audit")

    def create(self, bootstrap: str, *, partitions: int = 4, replicas: int = 1) -> None:
        """Create the three topics, those that exist left as they are. Raises KafkaException."""
        compact = {"cleanup.policy": "compact"}
        create_topic(bootstrap, self.events, partitions=partitions, replicas=replicas)
        create_topic(bootstrap, self.dlq, partitions=1, replicas=replicas)
        create_topic(bootstrap, self.badges, partitions=partitions, replicas=replicas, config=compact)


def read_all(bootstrap: str, topic: str, *, timeout: float = 30) -> list[TopicMessage]:
    """Everything from the beginning to the end of now, in the order of (partition, offset).

    Raises TimeoutError, and KafkaException for an unknown topic.
    """
    timeout *= PATIENCE
    with _Reader(bootstrap, topic) as reader:
        deadline = time.monotonic() + timeout
        while not reader.at_end:
            reader.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the end of {topic} not reached within {timeout:g} s, {len(reader.messages)} read")
        return sorted(reader.messages, key=lambda message: (message.partition, message.offset))


def wait_for_events(
    bootstrap: str, topic: str, predicate: Callable[[list[TopicMessage]], object], *, timeout: float = 30
) -> list[TopicMessage]:
    """Read from the beginning until `predicate` of what was read so far is true, and return that.

    Within a partition the order is that of the log. A topic that does not exist yet is waited for too.
    Raises TimeoutError naming how much was read and the last of it.
    """
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    with _opened(bootstrap, topic, deadline) as reader:
        while not predicate(reader.messages):
            if time.monotonic() > deadline:
                read = reader.messages
                raise TimeoutError(f"not seen on {topic} within {timeout:g} s; {len(read)} read, the last: {read[-1:]}")
            reader.poll()
        return reader.messages


def create_topic(
    bootstrap: str, topic: str, *, partitions: int = 4, replicas: int = 1, config: Mapping[str, str] | None = None
) -> None:
    """Create a topic, and return when each partition has a leader; one that exists is left as it is.

    Raises KafkaException.
    """
    admin = _admin(bootstrap)
    new = NewTopic(topic, num_partitions=partitions, replication_factor=replicas, config=dict(config or {}))
    try:
        admin.create_topics([new])[topic].result(timeout=ANSWERS_WITHIN_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    wait_until(lambda: _led(admin, topic), timeout=20, what=f"a leader of each partition of {topic}")


def delete_topic(bootstrap: str, topic: str) -> None:
    """Delete a topic, and return when the broker knows it no more. Raises KafkaException."""
    admin = _admin(bootstrap)
    admin.delete_topics([topic])[topic].result(timeout=ANSWERS_WITHIN_S)
    wait_until(
        lambda: topic not in admin.list_topics(timeout=ANSWERS_WITHIN_S).topics, timeout=20, what=f"{topic} to be gone"
    )


def add_partitions(bootstrap: str, topic: str, count: int) -> None:
    """Give a topic more partitions, so that it has so many. Raises KafkaException."""
    admin = _admin(bootstrap)
    admin.create_partitions([NewPartitions(topic, count)])[topic].result(timeout=ANSWERS_WITHIN_S)
    wait_until(lambda: partition_count(bootstrap, topic) == count, timeout=20, what=f"partitions of {topic}")


def topic_config(bootstrap: str, topic: str) -> dict[str, str | None]:
    """The effective configuration of a topic, by name. Raises KafkaException."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = _admin(bootstrap)  # a local: the answer of a client that is collected too early is an error
    entries = admin.describe_configs([resource])[resource].result(timeout=ANSWERS_WITHIN_S)
    return {name: entry.value for name, entry in entries.items()}


def configure(bootstrap: str, topic: str, name: str, value: str) -> None:
    """Set one entry of the configuration of a topic, and return when a lone broker goes by it.

    Raises KafkaException.
    """
    alter_config(bootstrap, topic, name, value)
    wait_until(lambda: topic_config(bootstrap, topic)[name] == value, timeout=20, what=f"{name}={value} of {topic}")
    # A broker shows a change a moment before it goes by it. It takes the next one only then.
    create_topic(bootstrap, f"next-change.{uuid.uuid4().hex[:8]}", partitions=1)


def alter_config(bootstrap: str, topic: str, name: str, value: str) -> None:
    """Set one entry of the configuration of a topic. Brokers hear of it some time later. Raises KafkaException."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = _admin(bootstrap)
    admin.incremental_alter_configs([resource])[resource].result(timeout=ANSWERS_WITHIN_S)


def partition_count(bootstrap: str, topic: str) -> int:
    """How many partitions a topic has, 0 when it does not exist."""
    return len(_admin(bootstrap).list_topics(topic, timeout=ANSWERS_WITHIN_S).topics[topic].partitions)


def serves(bootstrap: str) -> bool:
    """Whether a broker answers there and every partition it has is led; False when there is none."""
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        metadata = _admin(bootstrap).list_topics(timeout=2)
    except (OSError, KafkaException):
        return False
    partitions = [partition for topic in metadata.topics.values() for partition in topic.partitions.values()]
    return bool(metadata.brokers) and all(partition.leader >= 0 for partition in partitions)


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, **_QUIET})


def _led(admin: AdminClient, topic: str) -> bool:
    found = admin.list_topics(topic, timeout=ANSWERS_WITHIN_S).topics[topic].partitions
    return bool(found) and all(partition.leader >= 0 for partition in found.values())


def _opened(bootstrap: str, topic: str, deadline: float) -> _Reader:
    while True:
        try:
            return _Reader(bootstrap, topic)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class _Reader:
    """A consumer without a group, from the beginning of every partition the topic has now."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.messages: list[TopicMessage] = []
        self._ended: set[int] = set()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"tests-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                **_QUIET,
            }
        )
        found = self._consumer.list_topics(topic, timeout=ANSWERS_WITHIN_S).topics[topic]
        if found.error:
            self._consumer.close()
            raise KafkaException(found.error)
        self._partitions = set(found.partitions)
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in self._partitions])

    @property
    def at_end(self) -> bool:
        """Whether the end of each partition has been seen."""
        return self._ended == self._partitions

    def poll(self) -> None:
        """Take what has come, waiting a moment at most."""
        message: Any  # the stubs make every field of a record optional
        for message in self._consumer.consume(1000, timeout=0.02):
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF:
                    self._ended.add(message.partition())
                elif error.fatal():
                    raise KafkaException(error)
                continue
            kind, timestamp = message.timestamp()
            self.messages.append(
                TopicMessage(
                    key=message.key(),
                    value=message.value(),
                    headers=list(message.headers() or []),
                    partition=message.partition(),
                    offset=message.offset(),
                    timestamp=None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
