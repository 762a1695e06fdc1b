"""One life of a Kafka consumer: joins the group, works on the partitions that it gets, gives them back.

Each partition has a `PartitionTask`. One that ends in any other way than by being asked to ends the session: the next
one begins at the committed offsets, so nothing is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from common.kafka.clients import METADATA_MAX_AGE_MS, MakeClientArguments, can_connect
from common.kafka.consumer import check_errors, stop_consumer
from common.kafka.light_records import make_light
from common.logs import fields
from consumers.errors import describe
from consumers.metrics import Metrics
from consumers.runtime.partition_task import REVOKE_TIMEOUT_S, Deliver, PartitionTask
from consumers.runtime.status import ServerStatus
from consumers.settings import ConsumersSettings

log = logging.getLogger(__name__)

_REBALANCE_TIMEOUT_MS = 30_000
_JOIN_TIMEOUT_S = 90.0
_PROBE_EVERY_S = 2.0
_PROBE_TIMEOUT_S = 3.0
_LOST_AFTER_S = 10.0
"""Of brokers that answer to others."""
_CANCEL_TIMEOUT_S = 1.0
_NEVER_MS = 2**31 - 1


class SessionLostError(Exception):
    """The consumer cannot go on; a new one can. The message says why."""


class Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """Made anew for each attempt; `run` does it all, `close` must follow.

    Args:
        settings: of the group and of fetching.
        make_arguments: makes the arguments of a Kafka client; `Settings.kafka_client`.
        topic, group: what is consumed, and as who.
        max_events: at most so many are delivered and committed at a time.
        deliver: handles a batch.
        metrics, kafka: told what happens.

    Raises:
        OSError: a certificate cannot be read.
    """

    def __init__(
        self,
        settings: ConsumersSettings,
        make_arguments: MakeClientArguments,
        *,
        topic: str,
        group: str,
        max_events: int,
        deliver: Deliver,
        metrics: Metrics,
        kafka: ServerStatus,
    ) -> None:
        self._make_arguments = make_arguments
        self._topic = topic
        self._group = group
        self._max_events = max_events
        self._deliver = deliver
        self._metrics = metrics
        self._kafka = kafka
        self._tasks: dict[TopicPartition, PartitionTask] = {}
        self._failure: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self.joined = False
        self._closing = False
        self._consumer = AIOKafkaConsumer(
            **make_arguments(),
            group_id=group,
            group_instance_id=settings.group_instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=settings.fetch_max_bytes,
            client_rack=settings.kafka_client_rack,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 5,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            # A worker that hangs is noticed by the delivery; waiting for hours must not cost us the partitions.
            max_poll_interval_ms=_NEVER_MS,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )

    async def run(self) -> NoReturn:
        """Join and work until cancelled.

        Raises:
            SessionLostError, KafkaError, OSError: this consumer cannot go on.
        """
        self._consumer.subscribe([self._topic], listener=self)
        try:
            async with asyncio.timeout(_JOIN_TIMEOUT_S):
                await self._consumer.start()
        except TimeoutError as error:
            raise SessionLostError(f"the group {self._group} could not be joined") from error
        make_light(self._consumer)
        self.joined = True
        self._kafka.reached()
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({watch, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            watch.result()
        finally:
            watch.cancel()
        raise AssertionError("a session ends with an error only")

    async def close(self, *, within_s: float) -> None:
        """Give all partitions back: let running batches end for `within_s` seconds, commit them, leave the group."""
        self._closing = True
        await self._give_back(list(self._tasks), within_s)
        if not self._failure.cancel() and not self._failure.cancelled():
            self._failure.exception()  # known, or too late to matter
        await stop_consumer(self._consumer)

    def oldest_seconds(self) -> float:
        """Age of the oldest event in work, 0 when there is none, or none that has a time."""
        times = [task.oldest_ms for task in self._tasks.values() if task.oldest_ms is not None and task.oldest_ms >= 0]
        return max(0.0, time.time() - min(times) / 1000) if times else 0.0

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the consumer at the end of each rebalance, with all that it has now."""
        if self._closing:
            return
        numbers = sorted(partition.partition for partition in assigned)
        log.info(
            "partitions of %s: %s",
            self._topic,
            ", ".join(map(str, numbers)) or "none",
            extra=fields("partitions", topic=self._topic),
        )
        for partition in assigned:
            if partition not in self._tasks:
                self._tasks[partition] = PartitionTask(
                    partition,
                    self._consumer,
                    self._deliver,
                    max_events=self._max_events,
                    batch_seconds=self._metrics.batch_seconds,
                    on_end=self._partition_ended,
                )

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the consumer at the beginning of each rebalance, while commits are still accepted."""
        await self._give_back(revoked, REVOKE_TIMEOUT_S)

    async def _give_back(self, partitions: Iterable[TopicPartition], within_s: float) -> None:
        ending = [self._tasks[partition] for partition in partitions if partition in self._tasks]
        for one in ending:
            one.stop()
        if tasks := {one.task for one in ending}:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CANCEL_TIMEOUT_S)
        for one in ending:
            self._tasks.pop(one.partition, None)  # a rebalance and the end may both be at it

    def _partition_ended(self, ended: PartitionTask) -> None:
        error = None if ended.task.cancelled() else ended.task.exception()
        if self._tasks.get(ended.partition) is not ended or ended.stopping.is_set() or self._failure.done():
            return
        reason = "it was cancelled" if error is None else describe(error)
        lost = SessionLostError(f"the work on partition {ended.partition.partition} broke off: {reason}")
        lost.__cause__ = error
        self._failure.set_exception(lost)

    async def _watch(self) -> NoReturn:
        """See all the time that the brokers answer, and how far behind we are."""
        answer_others_since: float | None = None
        while True:
            check_errors(self._consumer)  # Between two rebalances nobody fetches, and so nobody else would see them.
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    await self._consumer.topics()
            except (KafkaError, TimeoutError) as error:
                self._kafka.lost(describe(error))
                if not await self._brokers_answer_others():
                    answer_others_since = None
                elif answer_others_since is None:
                    answer_others_since = time.monotonic()
                elif time.monotonic() - answer_others_since > _LOST_AFTER_S:
                    # All brokers have other addresses by now; a consumer looks only among those that it knew. As long
                    # as they are just away it stays: its successor would have to wait until the group forgets it.
                    raise SessionLostError("the brokers answer, but not where this consumer knows them") from error
            else:
                self._kafka.reached()
                answer_others_since = None
                with contextlib.suppress(KafkaError, TimeoutError):  # A partition without a leader has no end to tell.
                    async with asyncio.timeout(_PROBE_TIMEOUT_S):
                        await self._measure_lag()
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _brokers_answer_others(self) -> bool:
        """Whether a client that is made now finds a broker."""
        try:
            arguments = self._make_arguments()
        except OSError:  # a certificate
            return False
        return await can_connect(arguments, timeout_s=_PROBE_TIMEOUT_S)

    async def _measure_lag(self) -> None:
        tasks = list(self._tasks.values())
        ends = await self._consumer.end_offsets([task.partition for task in tasks]) if tasks else {}
        lag: dict[int, int] = {}
        for task in tasks:
            position = task.position
            if position is None:
                position = await self._consumer.position(task.partition)
            lag[task.partition.partition] = max(0, ends[task.partition] - position)
        self._metrics.set_lag(lag)
