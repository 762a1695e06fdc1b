"""A session works until its consumer cannot go on, and then says so: it is replaced, and nothing waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Never

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from consumers.metrics import Metrics
from consumers.runtime.session import Session, SessionLostError
from consumers.runtime.status import ServerStatus
from consumers.settings import ConsumersSettings
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic

NEVER_S = 60.0


async def deliver(_partition: TopicPartition, _records: Sequence[ConsumerRecord], _stopping: asyncio.Event) -> None:
    """Nothing is to be done."""


@dataclass
class RunningSession:
    """A session that has reached Kafka."""

    session: Session
    run: asyncio.Task[Never]
    changes: list[bool]
    """Whether Kafka is there, at first and at each change."""


@pytest.fixture
async def running(broker: Broker, topics: Topics) -> AsyncIterator[RunningSession]:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    settings = ConsumersSettings.model_validate({"kafka_bootstrap_servers": broker.bootstrap})
    changes: list[bool] = []
    session = Session(
        settings,
        settings.kafka_client,
        topic=topics.events,
        group=topics.group,
        max_events=10,
        deliver=deliver,
        metrics=Metrics("test"),
        kafka=ServerStatus("Kafka", changes.append),
    )
    run = asyncio.create_task(session.run())
    try:
        async with asyncio.timeout(NEVER_S):
            while not (changes and changes[-1]):  # noqa: ASYNC110 - seen by a callback without a condition to wait for
                await asyncio.sleep(0.02)
            yield RunningSession(session, run, changes)
    finally:
        run.cancel()
        await session.close(within_s=1.0)


async def test_a_session_whose_client_fetches_no_metadata_any_more_ends(running: RunningSession) -> None:
    # An error that aiokafka does not foresee ends it too. Commits and all else would wait for it, for ever.
    running.session._consumer._client._sync_task.cancel()
    with pytest.raises(KafkaError, match="the task that fetches metadata has ended"):
        await running.run


async def no_answer() -> set[str]:
    raise KafkaConnectionError


async def test_a_session_whose_brokers_answer_others_only_ends(
    running: RunningSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.runtime.session._LOST_AFTER_S", 0.0)
    monkeypatch.setattr("consumers.runtime.session._PROBE_EVERY_S", 0.05)
    monkeypatch.setattr(running.session._consumer, "topics", no_answer)
    with pytest.raises(SessionLostError, match="the brokers answer, but not where this consumer knows them"):
        await running.run
    assert running.changes[-1] is False


async def test_a_session_whose_brokers_answer_nobody_waits_for_them(
    running: RunningSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    async def nobody(*_arguments: object, **_options: object) -> bool:
        asked.append(False)
        return False

    monkeypatch.setattr("consumers.runtime.session._LOST_AFTER_S", 0.0)
    monkeypatch.setattr("consumers.runtime.session._PROBE_EVERY_S", 0.05)
    monkeypatch.setattr("consumers.runtime.session.can_connect", nobody)
    with monkeypatch.context() as away:
        away.setattr(running.session._consumer, "topics", no_answer)
        while len(asked) < 5:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    while not running.changes[-1]:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.02)
    assert not running.run.done()
