"""Reads a topic whole: from its beginning to the end that it has when the reading begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from common.kafka.clients import ClientArguments
from common.kafka.consumer import partitions_by_topic, stop_consumer
from common.kafka.light_records import make_light

ReportPosition = Callable[[int, int], None]
"""Told how many offsets were read, of how many."""

MAX_SINCE = 20_000
"""Offsets of a partition that are read for a time."""
_ANSWER_S = 20.0
_FETCH_MS = 300
# With aiokafka's default a fetch of the partition before, which has ended, would hold up the next for half a second.
_FETCH_WAIT_MS = 25


class TopicReader:
    """A topic as it is when the block begins; used as `async with`. Reading again needs a new one.

    Args:
        arguments: of every client, from the settings.
        topic: its name. That it does not exist is no error: see `exists`.
        max_fetch_bytes: how much is fetched of a partition at a time.
        report: called as the reading proceeds.
        last: of each partition only so many offsets before its end.
        since_ms: with `last`, also what was written since then, Unix ms, up to `MAX_SINCE` offsets before the end.
    """

    def __init__(
        self,
        arguments: ClientArguments,
        topic: str,
        *,
        max_fetch_bytes: int = 1024 * 1024,
        report: ReportPosition = lambda _read, _total: None,
        last: int | None = None,
        since_ms: int | None = None,
    ) -> None:
        self._arguments = arguments
        self._topic = topic
        self._max_fetch_bytes = max_fetch_bytes
        self._report = report
        self._last = last
        self._since_ms = since_ms
        self._consumer: AIOKafkaConsumer
        self._ranges: dict[TopicPartition, tuple[int, int]] = {}
        self.exists = False

    @property
    def total(self) -> int:
        """Offsets between beginning and end; where a topic is compacted, more than there are records."""
        return sum(end - begin for begin, end in self._ranges.values())

    async def __aenter__(self) -> Self:
        """Connect, and note where each partition begins and ends.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read.
        """
        self._consumer = AIOKafkaConsumer(
            **self._arguments,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # where the oldest records are deleted while they are read
            max_partition_fetch_bytes=self._max_fetch_bytes,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._consumer.start()
                make_light(self._consumer)
                partitions = (await partitions_by_topic(self._consumer)).get(self._topic, [])
                begins = await self._consumer.beginning_offsets(partitions) if partitions else {}
                ends = await self._consumer.end_offsets(partitions) if partitions else {}
                if partitions and self._last is not None:
                    begins = await self._later_begins(self._last, begins, ends)
        except BaseException:
            await stop_consumer(self._consumer)
            raise
        self.exists = bool(partitions)
        self._ranges = {partition: (begins[partition], ends[partition]) for partition in partitions}
        return self

    async def _later_begins(
        self, last: int, begins: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        wanted = {partition: end - last for partition, end in ends.items()}
        if self._since_ms is not None:
            found = await self._consumer.offsets_for_times(dict.fromkeys(ends, self._since_ms))
            for partition, at in found.items():
                if at is not None:
                    wanted[partition] = max(min(wanted[partition], at.offset), ends[partition] - MAX_SINCE)
        return {partition: max(begins[partition], begin) for partition, begin in wanted.items()}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_consumer(self._consumer)

    async def batches(self) -> AsyncGenerator[list[ConsumerRecord], None]:
        """The records, one partition after the other, in order, as many at a time as come with one fetch.

        Raises:
            KafkaError: Kafka cannot be read.
        """
        read = 0
        for partition, (begin, end) in self._ranges.items():
            self._consumer.assign([partition])
            self._consumer.seek(partition, begin)
            position = begin
            while position < end:
                fetched = (await self._consumer.getmany(partition, timeout_ms=_FETCH_MS)).get(partition, ())
                if records := [record for record in fetched if record.offset < end]:
                    yield records
                # Not the offset of the last record: compaction leaves gaps, also at the end.
                before, position = position, min(await self._consumer.position(partition), end)
                read += position - before
                self._report(read, self.total)
