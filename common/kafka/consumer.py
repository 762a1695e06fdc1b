"""What aiokafka's consumer does not offer: an end in time, its hidden errors, and the partitions of any topic."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from common.asyncio_tools import finish

_STOPPED_WITHIN_S = 1.5
_ABANDONED_WITHIN_S = 1.0
_FETCHER_CLOSED_WITHIN_S = 0.5
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
    """Raise what a consumer of a group cannot mend: it keeps that for whoever fetches next, and at times nobody does.

    Raises:
        KafkaError: the consumer cannot go on.
    """
    consumer._coordinator.check_errors()


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer for certain, in about two seconds: its own `stop` waits for brokers that may be away."""
    if not await finish(consumer.stop(), within_s=_STOPPED_WITHIN_S):
        await finish(_abandon(consumer), within_s=_ABANDONED_WITHIN_S)


async def _abandon(consumer: AIOKafkaConsumer) -> None:
    # Left alone, these tasks would stay and hold the membership of the group.
    for name in _BACKGROUND_TASKS:
        task = getattr(consumer._coordinator, name, None)
        if task is not None:
            task.cancel()
    if consumer._fetcher is not None:
        await finish(consumer._fetcher.close(), within_s=_FETCHER_CLOSED_WITHIN_S)
    await consumer._client.close()
