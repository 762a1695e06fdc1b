"""How a worker's producer connects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from consumers.errors import RetryLater
from consumers.runtime import producer as producer_module
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


async def test_all_that_wait_for_a_client_that_is_replaced_are_told(
    own_broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other partitions began later, and would wait for as long again for what cannot come."""
    create_topic(own_broker.bootstrap, topics.events, partitions=1)
    producer = Producer(lambda: {"bootstrap_servers": own_broker.bootstrap})
    await producer.publish(topics.events, [OutgoingRecord(b"key", b"confirmed")])
    own_broker.freeze()
    monkeypatch.setattr(producer_module, "_CONFIRM_TIMEOUT_S", 3600.0)
    late = [
        asyncio.create_task(producer.publish(topics.events, [OutgoingRecord(b"key", value)])) for value in (b"1", b"2")
    ]
    await asyncio.sleep(0)
    monkeypatch.setattr(producer_module, "_CONFIRM_TIMEOUT_S", 1.0)
    with pytest.raises(RetryLater, match="does not confirm"):
        await producer.publish(topics.events, [OutgoingRecord(b"key", b"3")])
    outcomes = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), 60)
    assert [type(outcome) for outcome in outcomes] == [RetryLater, RetryLater]
    own_broker.thaw()
    await producer.publish(topics.events, [OutgoingRecord(b"key", b"4")])
    assert read_all(own_broker.bootstrap, topics.events)[-1].value == b"4"
    await producer.stop()
