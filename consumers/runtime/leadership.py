"""Of several processes of one kind one works, the others stand by: who gets the first partition of a topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import UnknownTopicOrPartitionError

from common.kafka.clients import METADATA_MAX_AGE_MS
from common.kafka.consumer import check_errors, stop_consumer
from common.logs import fields
from consumers.settings import ConsumersSettings

log = logging.getLogger(__name__)

_POLL_MS = 500
_JOIN_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 5.0
_NEVER_MS = 2**31 - 1


class Leadership(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member of the consumer group; it works while it has the partition. Used once.

    Args:
        settings: of the connection and the group.
        group: its name.
        topic: whose first partition is theirs to get. Nothing of it is read.
        work: what is done meanwhile; it is cancelled when another takes over.
        report: told whether it is done here, at each change.
    """

    def __init__(
        self,
        settings: ConsumersSettings,
        group: str,
        topic: str,
        work: Callable[[], Coroutine[Any, Any, NoReturn]],
        report: Callable[[bool], None],
    ) -> None:
        self._settings = settings
        self._group = group
        self._topic = topic
        self._work = work
        self._report = report
        self._task: asyncio.Task[NoReturn] | None = None

    async def run(self) -> NoReturn:
        """Be a member until Kafka is away.

        Raises:
            KafkaError, OSError, TimeoutError: it is away, or has no such topic.
            Exception: whatever ends the work.
        """
        consumer = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 5,
            max_poll_interval_ms=_NEVER_MS,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )
        consumer.subscribe([self._topic], listener=self)
        try:
            async with asyncio.timeout(_JOIN_TIMEOUT_S):
                await consumer.start()
            if not consumer.partitions_for_topic(self._topic):
                raise UnknownTopicOrPartitionError(f"the topic {self._topic} does not exist")
            while True:
                check_errors(consumer)
                consumer.pause(*consumer.assignment())
                await consumer.getmany(timeout_ms=_POLL_MS)
                if self._task is not None and self._task.done():
                    self._task.result()
        finally:
            await self._end()
            await stop_consumer(consumer)

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        """Called by the consumer before the others may take them."""
        await self._end()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called by the consumer when it has got them."""
        await self._end()
        is_active = any(one.partition == 0 for one in assigned)
        if is_active:
            log.info("this process of the group %s works", self._group, extra=fields("active", group=self._group))
            self._task = asyncio.create_task(self._work())
        else:
            log.info("standing by: another one of the group works", extra=fields("standby", group=self._group))
        self._report(is_active)

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            self._report(False)
            task.cancel()
            await asyncio.wait({task}, timeout=_END_TIMEOUT_S)
            if task.done() and not task.cancelled():
                task.exception()  # It is known already, or too late to matter.
