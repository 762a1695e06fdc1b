"""A session works until its consumer cannot go on, and then says so: it is replaced, and nothing waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from consumers.metrics import Metrics
from consumers.runtime.session import Session
from consumers.runtime.status import ServerStatus
from consumers.settings import ConsumersSettings
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic

NEVER_S = 60.0


async def test_a_session_whose_client_fetches_no_metadata_any_more_ends(broker: Broker, topics: Topics) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)

    async def deliver(_partition: TopicPartition, _records: Sequence[ConsumerRecord], _stopping: asyncio.Event) -> None:
        """Nothing is to be done."""

    settings = ConsumersSettings.model_validate({"kafka_bootstrap_servers": broker.bootstrap})
    reached = asyncio.Event()
    session = Session(
        settings,
        settings.kafka_client(),
        topic=topics.events,
        group=topics.group,
        max_events=10,
        deliver=deliver,
        metrics=Metrics("test"),
        kafka=ServerStatus("Kafka", lambda up: reached.set() if up else None),
    )
    run = asyncio.create_task(session.run())
    try:
        async with asyncio.timeout(NEVER_S):
            await reached.wait()
            # An error that aiokafka does not foresee ends it too. Commits and all else would wait for it, for ever.
            session._consumer._client._sync_task.cancel()
            with pytest.raises(KafkaError, match="the task that fetches metadata has ended"):
                await run
    finally:
        run.cancel()
        await session.close(within_s=1.0)
