"""A consumer that can never fetch again says so when it is asked, though it answers every other question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from common.kafka.consumer import check_errors, partitions_by_topic, stop_consumer
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic


@pytest.mark.parametrize(
    ("fetched", "task_of"),
    [
        ("metadata", lambda consumer: consumer._client._sync_task),
        ("records", lambda consumer: consumer._fetcher._fetch_task),
    ],
    ids=["metadata", "records"],
)
async def test_a_consumer_whose_task_has_ended_cannot_go_on(
    broker: Broker, topics: Topics, fetched: str, task_of: Callable[[AIOKafkaConsumer], asyncio.Task[Any]]
) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    consumer = AIOKafkaConsumer(topics.events, bootstrap_servers=broker.bootstrap, group_id=topics.group)
    await consumer.start()
    try:
        check_errors(consumer)
        task = task_of(consumer)
        task.cancel()
        await asyncio.wait({task})
        assert topics.events in await partitions_by_topic(consumer), "what is asked of it by itself is answered"
        with pytest.raises(KafkaError, match=f"the task that fetches {fetched} has ended"):
            check_errors(consumer)
    finally:
        await stop_consumer(consumer)
