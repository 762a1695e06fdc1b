"""What several batches of events write to one partition at a time goes to Kafka together.

A batch of Kafka's costs nearly the same for one record as for a hundred, and one of a partition is in flight at a time.
So what is written meanwhile gathers, and is the next batch.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from common.kafka.partition import partitions_of
from common.kafka.producer import fill_batch
from consumers.errors import TOO_LARGE
from consumers.worker import OutgoingRecord


class OutgoingLanes:
    """The ways to the partitions of all topics, by one producer of aiokafka's.

    Args:
        client: the producer, which is started.
    """

    def __init__(self, client: AIOKafkaProducer) -> None:
        self.client = client
        self._lanes: dict[tuple[str, int], _Lane] = {}

    async def write(self, topic: str, records: Sequence[OutgoingRecord]) -> None:
        """Write records, those of a partition in their order, and wait until they are confirmed.

        Raises:
            KafkaError: some are not; which, nobody knows.
        """
        partitions = sorted(await self.client.partitions_for(topic))
        by_partition: defaultdict[int, list[OutgoingRecord]] = defaultdict(list)
        for record, at in zip(records, partitions_of([one.key for one in records], len(partitions)), strict=True):
            by_partition[partitions[at] if record.partition is None else record.partition].append(record)
        confirmations = [self._lane(topic, partition).add(part) for partition, part in by_partition.items()]
        # All of them end before an error is reported: none may write on while its records are already written again.
        outcomes = await asyncio.gather(*confirmations, return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def _lane(self, topic: str, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(self.client, topic, partition)
        return lane


class _Part(NamedTuple):
    """What one `write` has for a partition."""

    records: Sequence[OutgoingRecord]
    confirmed: asyncio.Future[None]
    """Cancelled where nobody waits any more."""


class _Lane:
    def __init__(self, client: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._client = client
        self._topic = topic
        self._partition = partition
        self._waiting: list[_Part] = []
        self._sending: asyncio.Task[None] | None = None

    def add(self, records: Sequence[OutgoingRecord]) -> asyncio.Future[None]:
        """Have records sent behind those before; done when they are confirmed."""
        part = _Part(records, asyncio.get_running_loop().create_future())
        self._waiting.append(part)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return part.confirmed

    async def _send_all(self) -> None:
        parts: list[_Part] = []
        try:
            while self._waiting:
                parts, self._waiting = self._waiting, []
                await self._send_together([part for part in parts if not part.confirmed.done()])
        except asyncio.CancelledError:  # By the end of the process, or of a batch whose client has given it up.
            for part in (*parts, *self._waiting):
                part.confirmed.cancel()
            self._waiting = []
            raise
        finally:
            self._sending = None

    async def _send_together(self, parts: Sequence[_Part]) -> None:
        try:
            await self._send(list(chain.from_iterable(part.records for part in parts)))
        except TOO_LARGE as error:
            if len(parts) == 1:
                _settle(parts, error)
                return
            for part in parts:  # The fault is of one of them, and is told to that one alone.
                await self._send_together([part])
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            _settle(parts, error)
        else:
            _settle(parts, None)

    async def _send(self, records: Sequence[OutgoingRecord]) -> None:
        confirmations: list[asyncio.Future[Any]] = []
        try:
            done = 0
            while done < len(records):
                batch = self._client.create_batch()
                done = fill_batch(batch, records, done)
                confirmations.append(await self._client.send_batch(batch, self._topic, partition=self._partition))
            for confirmation in confirmations:
                await confirmation
        finally:
            for confirmation in confirmations:
                confirmation.cancel()


def _settle(parts: Sequence[_Part], error: Exception | None) -> None:
    for part in parts:
        if part.confirmed.done():
            continue
        if error is None:
            part.confirmed.set_result(None)
        else:
            part.confirmed.set_exception(error)
