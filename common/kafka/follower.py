"""Reads topics as they grow, for people who look at them: no consumer group, no commits, and never an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from common.kafka.clients import MakeClientArguments
from common.kafka.consumer import partitions_by_topic, stop_consumer
from common.kafka.diagnosis import explain
from common.kafka.light_records import make_light
from common.kafka.topic_ids import topic_ids
from common.retry import Backoff

_ANSWER_S = 5.0
_LOOK_S = 2.0
_LOOK_FOR_MISSING_S = 0.3
_FETCH_MS = 250

Batches = Mapping[TopicPartition, Sequence[ConsumerRecord]]
"""What came with one fetch, in the order of each partition."""


class Follower:
    """Follows topics through outages of Kafka; what was read once is not read again.

    A topic that was deleted and made anew is another one, and is read from its beginning. Of what comes to it before
    that is noticed some may be read twice.

    Args:
        make_arguments: makes the arguments of a client, for each connection anew; of the settings or of a stack.
        topics: names; a topic that does not exist yet is waited for.
        from_beginning: whether to read what is there already.
        report: told in one line of each change: Kafka is away, it is there, a topic does not exist.
        latest: without `from_beginning`: how many of the last offsets of each partition are read first.

    Raises:
        OSError: a certificate cannot be read.
    """

    def __init__(
        self,
        make_arguments: MakeClientArguments,
        topics: Sequence[str],
        *,
        from_beginning: bool,
        report: Callable[[str], None],
        latest: int = 0,
    ) -> None:
        self._make_arguments = make_arguments
        self._servers = str(make_arguments()["bootstrap_servers"])
        self._topics = topics
        self._from_beginning = from_beginning
        self._report = report
        self._latest = latest
        self._positions: dict[TopicPartition, int] = {}
        self._ids: dict[str, set[str]] = {topic: set() for topic in topics}
        """All that each topic has had: a broker that lags behind tells a former one."""
        self._missing: set[str] = set()
        self._problem: str | None = None
        self._looked = False

    @property
    def problem(self) -> str | None:
        """Why Kafka cannot be read now; None while it can, and before it was tried."""
        return self._problem

    @property
    def missing(self) -> frozenset[str]:
        """Topics that do not exist yet."""
        return frozenset(self._missing)

    async def records(self) -> AsyncGenerator[ConsumerRecord, None]:
        """The records, those of a partition in their order. Ends never."""
        async with contextlib.aclosing(self.batches()) as all_batches:
            async for batches in all_batches:
                for record in sorted((one for batch in batches.values() for one in batch), key=_timestamp):
                    yield record

    async def batches(self) -> AsyncGenerator[Batches, None]:
        """The records as they are fetched, which costs little until somebody looks at one. Ends never."""
        waits = Backoff()
        while True:
            try:
                async with contextlib.aclosing(self._session()) as session:
                    async for batches in session:
                        waits.reset()
                        yield batches
            except (KafkaError, OSError, TimeoutError) as error:
                self._lost(error)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody cancelled us: aiokafka cancels what waits for a connection that is closed.
                self._lost(error)
            await asyncio.sleep(next(waits))

    async def _session(self) -> AsyncGenerator[Batches, None]:
        """Read until Kafka does not answer.

        Raises:
            KafkaError, OSError, TimeoutError: it does not.
        """
        # No reset by itself: a topic that is another one would be read from its beginning, and then once more.
        consumer = AIOKafkaConsumer(**self._make_arguments(), enable_auto_commit=False, auto_offset_reset="none")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWER_S):
                await consumer.start()
            make_light(consumer)
            look_at = loop.time()
            while True:
                if loop.time() >= look_at:
                    async with asyncio.timeout(_ANSWER_S):
                        await self._look(consumer)
                    look_at = loop.time() + (_LOOK_FOR_MISSING_S if self._missing else _LOOK_S)
                if batches := await self._fetch(consumer):
                    for partition, batch in batches.items():
                        self._positions[partition] = batch[-1].offset + 1
                    yield batches
        finally:
            await stop_consumer(consumer)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Find the partitions that there are now. It also tells whether Kafka still answers."""
        found = await partitions_by_topic(consumer)
        there = found.keys() & set(self._topics)
        if there:
            self._forget_former(await topic_ids(consumer, there))
        partitions = {partition for topic in there for partition in found[topic]}
        new = partitions - self._positions.keys()
        await self._begin(consumer, new)
        if new or partitions - consumer.assignment():
            consumer.assign(sorted(partitions))
            for partition in partitions:
                consumer.seek(partition, self._positions[partition])
        self._found(set(self._topics) - there)

    def _forget_former(self, ids: Mapping[str, str]) -> None:
        """Forget how far topics were read that were deleted and made anew: their offsets mean other records now."""
        for topic, topic_id in ids.items():
            known = self._ids[topic]
            if known and topic_id not in known:
                self._forget([partition for partition in self._positions if partition.topic == topic])
            known.add(topic_id)

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)

    async def _begin(self, consumer: AIOKafkaConsumer, new: set[TopicPartition]) -> None:
        if not new:
            return
        # What appears while we look on is new altogether.
        from_beginning = self._from_beginning or self._looked
        offsets = await (consumer.beginning_offsets if from_beginning else consumer.end_offsets)(sorted(new))
        if self._latest and not from_beginning:
            begins = await consumer.beginning_offsets(sorted(new))
            offsets = {one: max(begins[one], end - self._latest) for one, end in offsets.items()}
        self._positions.update(offsets)

    async def _fetch(self, consumer: AIOKafkaConsumer) -> Batches:
        if not consumer.assignment():
            await asyncio.sleep(_LOOK_FOR_MISSING_S)
            return {}
        try:
            fetched = await consumer.getmany(timeout_ms=_FETCH_MS)
        except OffsetOutOfRangeError as error:
            # Deleted before it was read, or of another topic: looked at before it is read on.
            self._forget(error.args[0])
            async with asyncio.timeout(_ANSWER_S):
                await self._look(consumer)
            return {}
        return {partition: batch for partition, batch in fetched.items() if batch}

    def _found(self, missing: set[str]) -> None:
        if not self._looked or self._problem is not None or missing != self._missing:
            self._report(f"following {', '.join(self._topics)} on {self._servers}")
            for topic in sorted(missing):
                self._report(f"the topic {topic} does not exist yet; waiting for it")
        self._problem = None
        self._missing = missing
        self._looked = True

    def _lost(self, error: BaseException) -> None:
        problem = _explain(error)
        if problem != self._problem:
            self._report(
                f"Kafka at {self._servers} cannot be used: {problem}. Is it running, and is "
                "BRIDGE_KAFKA_BOOTSTRAP_SERVERS its address? Trying again until it is there"
            )
            self._problem = problem


def _timestamp(record: ConsumerRecord) -> int:
    return int(record.timestamp)


def _explain(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "nothing listens there, or it closes the connection"
    return explain(error)
