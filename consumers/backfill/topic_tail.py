"""Reads a topic from a time on to where it ends now, and again from there: each record once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from common.kafka.clients import MakeClientArguments
from common.kafka.consumer import partitions_by_topic, stop_consumer
from consumers.runtime.since import since

ReportTail = Callable[[int, int], None]
"""Told how many offsets were read, of how many."""

_ANSWER_S = 20.0
_FETCH_MS = 300
_FETCH_WAIT_MS = 25


class TopicTail:
    """What a topic holds from a time on. Where it was read to is kept, so after an outage it goes on.

    Records that carry an earlier time may be read too; and those are that lie behind one that carries a later: what the
    ingress had to keep while Kafka was away comes late, with the time at which it was received.

    Args:
        make_arguments: makes the arguments of a client, for each connection anew.
        topic: its name. One that does not exist holds nothing: see `exists`.
        from_ms: the time, Unix milliseconds.
        max_fetch_bytes: how much is fetched of a partition at a time.
        report: told as the reading proceeds.
    """

    def __init__(
        self,
        make_arguments: MakeClientArguments,
        topic: str,
        *,
        from_ms: int,
        max_fetch_bytes: int = 1024 * 1024,
        report: ReportTail = lambda _read, _total: None,
    ) -> None:
        self._make_arguments = make_arguments
        self._topic = topic
        self._from_ms = from_ms
        self._max_fetch_bytes = max_fetch_bytes
        self._report = report
        self._positions: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._unread_first: dict[TopicPartition, int] = {}
        """Partition → where it begins, of those that have lost their oldest records and are read from there."""
        self.exists = False
        self.kept_since_ms: int | None = None
        """The topic may have held older records than this that are deleted by now; None where that cannot matter."""

    async def batches(self) -> AsyncGenerator[Sequence[ConsumerRecord], None]:
        """What came since the last time, up to now: the records of one partition after the other, in order.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read. Called again it goes on from there.
        """
        try:
            consumer = await self._connected()
            async with asyncio.timeout(_ANSWER_S):
                ends = await self._ends(consumer)
            total = sum(max(0, end - self._positions[one]) for one, end in ends.items())
            read = 0
            for partition, end in ends.items():
                async with contextlib.aclosing(self._until(consumer, partition, end)) as batches:
                    async for records, moved in batches:
                        read += moved
                        yield records
                        self._report(read, total)
        except (KafkaError, OSError, TimeoutError):
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._make_arguments(),
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # where the oldest records are deleted while they are read
                max_partition_fetch_bytes=self._max_fetch_bytes,
                fetch_max_wait_ms=_FETCH_WAIT_MS,
            )
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await consumer.start()
            except BaseException:
                await stop_consumer(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    async def _ends(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Where each partition ends now. Those that are new begin at their time."""
        partitions = (await partitions_by_topic(consumer)).get(self._topic, [])
        self.exists = bool(partitions)
        if not partitions:
            return {}
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        if new := [one for one in partitions if one not in self._positions]:
            begins = await consumer.beginning_offsets(new)
            for one, found in (await since(consumer, begins, ends, self._from_ms)).items():
                self._positions[one] = found.offset
                if begins[one] == ends[one] > 0:
                    self._note_kept_since(_first_time_ms([]))  # All is deleted: nobody knows what it was.
                elif begins[one] > 0 and not found.is_preceded:
                    self._unread_first[one] = found.offset
        return ends

    async def _until(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, end: int
    ) -> AsyncGenerator[tuple[Sequence[ConsumerRecord], int], None]:
        if self._positions[partition] >= end:
            return
        consumer.assign([partition])
        consumer.seek(partition, self._positions[partition])
        while (before := self._positions[partition]) < end:
            fetched = (await consumer.getmany(partition, timeout_ms=_FETCH_MS)).get(partition, ())
            first = self._unread_first.get(partition)
            if fetched and first is not None and fetched[0].offset >= first:
                del self._unread_first[partition]
                self._note_kept_since(_first_time_ms(fetched))
            # Not the offset of the last record: compaction and transactions leave gaps, also at the end.
            after = await consumer.position(partition)
            if (fetched[0].offset if fetched else after) > before:
                await self._note_deleted(consumer, partition, before, fetched)
            yield fetched, after - before
            self._positions[partition] = after

    async def _note_deleted(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, before: int, fetched: Sequence[ConsumerRecord]
    ) -> None:
        """See whether records were passed over because they were deleted while the topic was read."""
        async with asyncio.timeout(_ANSWER_S):
            begins = await consumer.beginning_offsets([partition])
        if begins[partition] > before:
            self._note_kept_since(_first_time_ms(fetched))

    def _note_kept_since(self, time_ms: int) -> None:
        self.kept_since_ms = max(self.kept_since_ms or 0, time_ms)


def _first_time_ms(records: Sequence[ConsumerRecord]) -> int:
    """The time of the first record that has one; if none has, that of now."""
    return next((int(one.timestamp) for one in records if one.timestamp >= 0), time.time_ns() // 1_000_000)
