"""What aiokafka's consumer does not offer: an end in time, its hidden errors, and the partitions of any topic."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from common.asyncio_tools import finish

_STOP_TIMEOUT_S = 1.5
_ABANDON_TIMEOUT_S = 1.0
_FETCHER_CLOSE_TIMEOUT_S = 0.5
_BACKGROUND_TASKS = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")


async def partitions_by_topic(consumer: AIOKafkaConsumer) -> dict[str, list[TopicPartition]]:
    """Every topic that there is now, and its partitions in order.

    All topics are asked for, since asking for one by its name may create it; and the broker, since the consumer itself
    learns of a topic's partitions only when it is first asked about one of them.

    Raises:
        KafkaConnectionError: no broker answers.
    """
    try:
        cluster = await consumer._client.fetch_all_metadata()
    except KafkaError as error:
        raise KafkaConnectionError(str(error)) from error
    return {
        topic: [TopicPartition(topic, number) for number in sorted(cluster.partitions_for_topic(topic) or ())]
        for topic in cluster.topics()
    }


def check_errors(consumer: AIOKafkaConsumer) -> None:
    """Raise what a started consumer of a group cannot mend: it keeps that for whoever fetches next, or to itself.

    A consumer whose task for metadata or for fetching has ended would go on to answer all questions, and never fetch.

    Raises:
        KafkaError: the consumer cannot go on.
    """
    consumer._coordinator.check_errors()
    _check_running("metadata", consumer._client._sync_task)
    _check_running("records", consumer._fetcher._fetch_task)


def _check_running(fetched: str, task: asyncio.Task[None]) -> None:
    if task.done():
        cause = None if task.cancelled() else task.exception()
        raise KafkaError(f"the task that fetches {fetched} has ended") from cause


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer for certain, in about two seconds: its own `stop` waits for brokers that may be away."""
    sync_task = consumer._client._sync_task
    if sync_task is not None and sync_task.done():
        consumer._client._sync_task = None  # or its error would end the closing before the connections are closed
    if not await finish(consumer.stop(), within_s=_STOP_TIMEOUT_S):
        await finish(_abandon(consumer), within_s=_ABANDON_TIMEOUT_S)


async def _abandon(consumer: AIOKafkaConsumer) -> None:
    # Left alone, these tasks would stay and hold the membership of the group.
    for name in _BACKGROUND_TASKS:
        task = getattr(consumer._coordinator, name, None)
        if task is not None:
            task.cancel()
    if consumer._fetcher is not None:
        await finish(consumer._fetcher.close(), within_s=_FETCHER_CLOSE_TIMEOUT_S)
    await consumer._client.close()
