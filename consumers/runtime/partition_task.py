"""The work on one partition: fetch a batch, have it delivered, commit its end, and only then fetch the next.

So a partition is in order, and one that is slow or waits is not fetched, while the others and the membership of the
group go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from prometheus_client import Histogram

from consumers.errors import describe
from consumers.runtime.delivery import StoppedError

log = logging.getLogger(__name__)

Deliver = Callable[[TopicPartition, Sequence[ConsumerRecord], asyncio.Event], Awaitable[None]]
"""`Delivery.deliver`."""

REVOKE_TIMEOUT_S = 15.0
"""How long a batch may take to end once its partition has to be given back."""
_FETCH_MS = 500


class CommitRefusedError(Exception):
    """The group takes no offset of the partition any more, and asks for the partition neither."""


class PartitionTask:
    """Works on a partition until it is stopped or fails.

    Args:
        partition: which.
        consumer: has it assigned.
        deliver: handles a batch; returns when its end may be committed.
        max_events: at most so many are delivered and committed at a time.
        batch_seconds: observes how long each batch takes.
        on_end: called when it has ended, with itself.
    """

    def __init__(
        self,
        partition: TopicPartition,
        consumer: AIOKafkaConsumer,
        deliver: Deliver,
        *,
        max_events: int,
        batch_seconds: Histogram,
        on_end: Callable[[PartitionTask], None],
    ) -> None:
        self.partition = partition
        self.stopping = asyncio.Event()
        """Set once the partition has to be given back."""
        self.position: int | None = None
        """Offset of the first event that is not handled yet; None until one was fetched."""
        self.oldest_ms: int | None = None
        """Time of the oldest event in work, Unix milliseconds; None while there is none."""
        self._consumer = consumer
        self._deliver = deliver
        self._max_events = max_events
        self._batch_seconds = batch_seconds
        self._is_idle = True
        self.task = asyncio.create_task(self._work())
        self.task.add_done_callback(lambda _: on_end(self))

    def stop(self) -> None:
        """Let it end after the batch that it has, at once if it has none."""
        self.stopping.set()
        if self._is_idle:
            self.task.cancel()

    async def _work(self) -> None:
        while not self.stopping.is_set():
            self._is_idle = True
            fetched = await self._consumer.getmany(self.partition, timeout_ms=_FETCH_MS)
            self._is_idle = False
            for records in fetched.values():
                await self._handle(records)

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        self.position = records[0].offset
        try:
            for start in range(0, len(records), self._max_events):
                if self.stopping.is_set():
                    return
                batch = records[start : start + self._max_events]
                self.oldest_ms = batch[0].timestamp
                with self._batch_seconds.time():
                    await self._deliver(self.partition, batch, self.stopping)
                self.position = batch[-1].offset + 1
                if not await self._commit(self.position):
                    await self._given_back()
                    return
        except StoppedError:
            return
        finally:
            self.oldest_ms = None

    async def _commit(self, position: int) -> bool:
        """Whether the group takes the offset from us."""
        try:
            await self._consumer.commit({self.partition: position})
        except (CommitFailedError, IllegalStateError) as error:
            # A rebalance was faster. If the partition stays ours, it begins again at the last commit.
            number = self.partition.partition
            log.info("offset %d of partition %d was not committed: %s", position, number, describe(error))
            return False
        return True

    async def _given_back(self) -> None:
        """Handle nothing more of what was fetched: others may have, and newer events of the same keys too."""
        try:
            async with asyncio.timeout(REVOKE_TIMEOUT_S):
                await self.stopping.wait()
        except TimeoutError as error:
            raise CommitRefusedError("the group took a commit no more") from error
