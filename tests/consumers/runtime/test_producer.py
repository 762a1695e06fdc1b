"""How a worker's producer connects."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.errors import RetryLater
from consumers.runtime.producer import Producer
from consumers.worker import OutgoingRecord
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic, read_all


async def test_each_connection_is_made_of_arguments_that_are_new(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events)
    made: list[dict[str, Any]] = []

    def make() -> dict[str, Any]:
        made.append({"bootstrap_servers": broker.bootstrap})
        return made[-1]

    producer = Producer(make)
    assert not made, "it connects at its first use"
    for value in (b"1", b"2"):
        await producer.publish(topics.events, [OutgoingRecord(b"key", value)])
        assert len(made) == int(value)
        await producer.stop()
    assert sorted(message.value or b"" for message in read_all(broker.bootstrap, topics.events)) == [b"1", b"2"]


async def test_a_certificate_that_cannot_be_read_is_waited_for() -> None:
    def make() -> dict[str, Any]:
        raise FileNotFoundError(2, "No such file", "client.pem")

    with pytest.raises(RetryLater, match=r"client\.pem"):
        await Producer(make).publish("topic", [OutgoingRecord(b"key", b"value")])
