"""One life of a Kafka consumer: joins the group, fetches, hands out, commits, gives partitions back.

Every partition has a lane, a task that fetches a batch, has it delivered and commits its end, and only then fetches the
next. So a partition is in order, and one that is slow or waits is not fetched, while the others and the group
membership go on. A lane that ends in any other way than by being asked to ends the session: the next one begins
at the committed offsets, so nothing is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NoReturn

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from common.kafka.consumer import check_errors, stop_consumer
from consumers.errors import describe
from consumers.metrics import Metrics
from consumers.runtime.connection import Connection
from consumers.runtime.delivery import StoppedError
from consumers.settings import ConsumersSettings

log = logging.getLogger(__name__)

Deliver = Callable[[TopicPartition, Sequence[ConsumerRecord], asyncio.Event], Awaitable[None]]

_REBALANCE_TIMEOUT_MS = 30_000
_REVOKED_WITHIN_S = 15.0
_JOINED_WITHIN_S = 90.0
_FETCH_MS = 500
_PROBE_EVERY_S = 2.0
_PROBED_WITHIN_S = 3.0
_LOST_AFTER_S = 20.0
_NEVER_MS = 2**31 - 1


class SessionLostError(Exception):
    """The consumer cannot go on; a new one can. The message says why."""


class Lane:
    """The work on one partition."""

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.idle = True
        self.position: int | None = None
        """Offset of the first event that is not handled yet; None until one was fetched."""
        self.oldest_ms: int | None = None

    def stop(self) -> None:
        """Let it end after the piece of work that it has, at once if it has none."""
        self.stopping.set()
        if self.idle and self.task is not None:
            self.task.cancel()


class Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """Made anew for each attempt; `run` does it all, `close` must follow."""

    def __init__(
        self,
        settings: ConsumersSettings,
        client_arguments: dict[str, Any],
        *,
        topic: str,
        group: str,
        most_events: int,
        deliver: Deliver,
        metrics: Metrics,
        connection: Connection,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._most_events = most_events
        self._deliver = deliver
        self._metrics = metrics
        self._connection = connection
        self._lanes: dict[TopicPartition, Lane] = {}
        self._failure: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self.joined = False
        self._closing = False
        self._consumer = AIOKafkaConsumer(
            **client_arguments,
            group_id=group,
            group_instance_id=settings.group_instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=settings.fetch_max_bytes,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 5,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            # The lanes are what notices a worker that hangs; waiting for hours must not cost us the partitions.
            max_poll_interval_ms=_NEVER_MS,
            metadata_max_age_ms=30_000,
        )

    async def run(self) -> NoReturn:
        """Join and work until cancelled.

        Raises:
            SessionLostError, KafkaError, OSError: this consumer cannot go on.
        """
        self._consumer.subscribe([self._topic], listener=self)
        try:
            async with asyncio.timeout(_JOINED_WITHIN_S):
                await self._consumer.start()
        except TimeoutError as error:
            raise SessionLostError(f"the group {self._group} could not be joined") from error
        self.joined = True
        self._connection.made()
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
        await self._stop_lanes(list(self._lanes), within_s)
        if not self._failure.cancel() and not self._failure.cancelled():
            self._failure.exception()  # known, or too late to matter
        await stop_consumer(self._consumer)

    def oldest_seconds(self) -> float:
        """Age of the oldest event in work, 0 when there is none."""
        times = [lane.oldest_ms for lane in self._lanes.values() if lane.oldest_ms is not None]
        return max(0.0, time.time() - min(times) / 1000) if times else 0.0

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the consumer at the end of each rebalance, with all that it has now."""
        if self._closing:
            return
        numbers = sorted(partition.partition for partition in assigned)
        log.info("partitions of %s: %s", self._topic, ", ".join(map(str, numbers)) or "none")
        for partition in assigned:
            if partition not in self._lanes:
                lane = self._lanes[partition] = Lane(partition)
                lane.task = asyncio.create_task(self._work(lane))
                lane.task.add_done_callback(self._lane_ended)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the consumer at the beginning of each rebalance, while commits are still accepted."""
        await self._stop_lanes(revoked, _REVOKED_WITHIN_S)

    async def _stop_lanes(self, partitions: Iterable[TopicPartition], within_s: float) -> None:
        lanes = [self._lanes[partition] for partition in partitions if partition in self._lanes]
        tasks = {lane.task for lane in lanes if lane.task is not None}
        for lane in lanes:
            lane.stop()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        for lane in lanes:
            self._lanes.pop(lane.partition, None)  # a rebalance and the end may both be at it

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        lane = next((lane for lane in self._lanes.values() if lane.task is task), None)
        error = None if task.cancelled() else task.exception()
        if lane is None or lane.stopping.is_set() or self._failure.done():
            return
        reason = "it was cancelled" if error is None else describe(error)
        lost = SessionLostError(f"the work on partition {lane.partition.partition} broke off: {reason}")
        lost.__cause__ = error
        self._failure.set_exception(lost)

    async def _work(self, lane: Lane) -> None:
        while not lane.stopping.is_set():
            lane.idle = True
            fetched = await self._consumer.getmany(lane.partition, timeout_ms=_FETCH_MS)
            lane.idle = False
            for records in fetched.values():
                await self._handle(lane, records)

    async def _handle(self, lane: Lane, records: Sequence[ConsumerRecord]) -> None:
        size = self._most_events
        lane.position = records[0].offset
        try:
            for start in range(0, len(records), size):
                if lane.stopping.is_set():
                    return
                batch = records[start : start + size]
                lane.oldest_ms = batch[0].timestamp
                with self._metrics.batch_seconds.time():
                    await self._deliver(lane.partition, batch, lane.stopping)
                lane.position = batch[-1].offset + 1
                if not await self._commit(lane.partition, lane.position):
                    await self._given_back(lane)
                    return
        except StoppedError:
            return
        finally:
            lane.oldest_ms = None

    async def _commit(self, partition: TopicPartition, position: int) -> bool:
        """Whether the group takes the offset from us."""
        try:
            await self._consumer.commit({partition: position})
        except (CommitFailedError, IllegalStateError) as error:
            # A rebalance was faster. If the partition stays ours, it begins again at the last commit.
            log.info("offset %d of partition %d was not committed: %s", position, partition.partition, describe(error))
            return False
        return True

    async def _given_back(self, lane: Lane) -> None:
        """Handle nothing more of what was fetched: others may have, and newer events of the same keys too."""
        try:
            async with asyncio.timeout(_REVOKED_WITHIN_S):
                await lane.stopping.wait()
        except TimeoutError as error:
            raise SessionLostError("the group took a commit no more") from error

    async def _watch(self) -> NoReturn:
        seen = time.monotonic()
        while True:
            # Between two rebalances nobody fetches.
            check_errors(self._consumer)
            try:
                async with asyncio.timeout(_PROBED_WITHIN_S):
                    await self._consumer.topics()
            except (KafkaError, TimeoutError) as error:
                self._connection.lost(describe(error))
                if time.monotonic() - seen > _LOST_AFTER_S:
                    # All brokers may have other addresses by now; a consumer looks only among those that it knew.
                    raise SessionLostError(f"no broker answered for {_LOST_AFTER_S:.0f} s") from error
            else:
                self._connection.made()
                seen = time.monotonic()
                with contextlib.suppress(KafkaError, TimeoutError):  # A partition without a leader has no end to tell.
                    async with asyncio.timeout(_PROBED_WITHIN_S):
                        await self._measure()
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _measure(self) -> None:
        """Update the lag."""
        lanes = list(self._lanes.values())
        ends = await self._consumer.end_offsets([lane.partition for lane in lanes]) if lanes else {}
        lag: dict[int, int] = {}
        for lane in lanes:
            position = lane.position
            if position is None:
                position = await self._consumer.position(lane.partition)
            lag[lane.partition.partition] = max(0, ends[lane.partition] - position)
        self._metrics.set_lag(lag)
