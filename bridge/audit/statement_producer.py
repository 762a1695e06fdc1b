"""Writes statements to their topic, by a producer of its own: trouble with it is nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from common.audit.statement import Statement
from common.kafka.clients import MakeClientArguments
from common.kafka.diagnosis import explain
from common.kafka.producer import NO_TIME_MS, abandon, make_producer
from common.kafka.topics import TopicsMissingError, ensure_topics
from common.topic import Topic

CONNECT_S = 10.0
CONFIRM_S = 5.0


class NotStatedError(Exception):
    """Kafka has not confirmed a statement. The message says why."""


class StatementProducer:
    """Connects when it has something to write, and anew after a failure.

    Args:
        client_arguments: gives those of every client.
        topic: as it is created where it is missing.
    """

    def __init__(self, client_arguments: MakeClientArguments, topic: Topic) -> None:
        self._client_arguments = client_arguments
        self._topic = topic
        # Whoever made the topic may have given it more partitions: the audit reads the first, for their order. Kafka
        # takes no time that is far ahead of its clock; statements have their own.
        self._place = {"topic": topic.name, "partition": 0, "timestamp_ms": NO_TIME_MS}
        self._producer: AIOKafkaProducer | None = None

    async def write(self, statements: Iterable[Statement]) -> None:
        """Write them, in order, and wait until Kafka has confirmed all.

        Raises:
            NotStatedError: it has not, or not in time.
        """
        try:
            producer = await self._connected()
            async with asyncio.timeout(CONFIRM_S):
                sent = [await producer.send(value=one.encode(), key=one.key, **self._place) for one in statements]
                await asyncio.gather(*sent)
        except BaseException as error:
            await self.close()  # What was not confirmed must not come behind what is written next.
            if isinstance(error, TopicsMissingError):
                raise NotStatedError(str(error)) from error
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and not (task and task.cancelling()):
                raise NotStatedError("the client was ended meanwhile") from error  # By aiokafka, inside.
            if isinstance(error, KafkaError | OSError | TimeoutError | ValueError):
                raise NotStatedError(f"the topic {self._topic.name} cannot be written: {explain(error)}") from error
            raise

    async def close(self) -> None:
        """Disconnect, whatever is on its way."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError):
                await abandon(producer)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            arguments = self._client_arguments()
            producer = make_producer(arguments)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await ensure_topics(arguments, [self._topic])
                    await producer.start()
            except BaseException:
                await abandon(producer)
                raise
            self._producer = producer
        return self._producer
