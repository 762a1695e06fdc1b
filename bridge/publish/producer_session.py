"""The life of one producer: what dies with it is here, what survives it are the `Survivors`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from bridge.journal.groups import Group, PendingRecord
from bridge.publish.pacing import ROUND_S, Pace, RoundSize
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.window import Window
from common.kafka.diagnosis import explain
from common.kafka.partition import partition_of
from common.kafka.producer import answers

MAX_BATCH_BYTES = 256 * 1024
MIN_BATCH_BYTES = 16 * 1024
SLOW_AFTER_S = 1.0
TIMER_EARLY_S = 0.002
"""By so much a timer of the event loop may be early, by the clock that is used here."""
WATCH_INTERVAL_S = 0.25
PROBE_INTERVAL_S = 1.0
REJECTED_FOR_GOOD = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError, InvalidTimestampError)


class ProducerLostError(Exception):
    """The producer is of no use any more. The message says why."""


class ConnectedProducer(NamedTuple):
    """A producer, and what it was told of its topic."""

    producer: AIOKafkaProducer
    topic: str
    partitions: int
    max_message_bytes: int | None
    """The largest batch that the topic takes; None where the broker does not tell."""


class BatchInFlight(NamedTuple):
    """A batch that was sent and is not confirmed."""

    records: list[PendingRecord]
    sent_at: float
    """By `time.monotonic`."""


class Survivors(NamedTuple):
    """What a session works on and leaves to the next one."""

    window: Window
    pace: Pace
    round_size: RoundSize
    rejection_search: RejectionSearch


class ProducerSession:
    """Publishes what is in the window, and more, until the producer is lost.

    Records are spread over the partitions, each with one batch in flight: that keeps the order of a key whatever
    happens to a batch. Batches of all partitions leave together, when those before are confirmed: fewer and larger
    requests cost half the CPU. A partition that takes longer than ROUND_S is not waited for.

    Args:
        connected: the producer.
        survivors: what it works on.
        keep_too_large: called with a record whose batch is larger than the topic takes, as it was told, and with the
            size of that batch; keeps it elsewhere and confirms it, or gives False where the topic takes it by now.
        disk_ok: whether the disk takes callbacks at present; else only our confirmations let replies go.
        stall_s: a producer that confirms nothing for so long is lost.
        on_published: called with the number of records that were confirmed.
    """

    def __init__(
        self,
        connected: ConnectedProducer,
        survivors: Survivors,
        *,
        keep_too_large: Callable[[PendingRecord, int], Awaitable[bool]],
        disk_ok: Callable[[], bool],
        stall_s: float,
        on_published: Callable[[int], None],
    ) -> None:
        self._connected = connected
        self._window, self._pace, self._round_size, self._rejection_search = survivors
        self._keep_too_large = keep_too_large
        self._disk_ok = disk_ok
        self._stall_s = stall_s
        self._on_published = on_published
        self._queues: list[deque[PendingRecord]] = [deque() for _ in range(connected.partitions)]
        self._in_flight: dict[int, BatchInFlight] = {}
        self._wake = asyncio.Event()
        self._lost: ProducerLostError | None = None
        self._answers = True
        """Whether Kafka answered when it was asked last; asked while only Kafka makes callbacks durable."""
        self._blocked_since: float | None = None
        """Since when nothing is sent, because a backlog cannot be read, or a record not be put into quarantine."""

    async def run(self) -> NoReturn:
        """Publish until the producer is lost.

        Raises:
            ExceptionGroup: of ProducerLostError, or of whatever else broke it off.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._probe())
                tasks.create_task(self._publish())
        finally:
            self._lose("its session has ended")
        raise AssertionError("a session ends with an error only")

    def wake(self) -> None:
        """Something can be leased."""
        self._wake.set()

    def limit_changed(self, max_message_bytes: int | None) -> None:
        """The topic takes batches of so many bytes now; None: the broker does not tell any more."""
        self._connected = self._connected._replace(max_message_bytes=max_message_bytes)

    @property
    def confirms(self) -> bool:
        """Whether Kafka is confirming records at present, as far as can be known."""
        blocked_s = 0.0 if self._blocked_since is None else time.monotonic() - self._blocked_since
        return self._lost is None and self._answers and max(self._oldest_s, blocked_s) < SLOW_AFTER_S

    @property
    def _oldest_s(self) -> float:
        """Seconds since the oldest batch in flight was sent."""
        oldest = min((batch.sent_at for batch in self._in_flight.values()), default=None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or ProducerLostError(reason)
        self._wake.set()

    # -- Publishing ----------------------------------------------------------------------------------------------------

    async def _publish(self) -> NoReturn:
        self._spread(self._window.groups)
        while True:
            self._wake.clear()
            with self._maybe_blocked():
                while group := await self._window.lease():
                    self._spread((group,))
            if not self._in_flight or self._oldest_s > ROUND_S - TIMER_EARLY_S:
                if self._pace.gives_way(self._window.oldest_s, disk_ok=self._disk_ok()):
                    await self._pace.rest()
                self._pace.start()
                await self._send_round()
            if self._lost:
                raise self._lost
            await self._wake.wait()

    @contextmanager
    def _maybe_blocked(self) -> Iterator[None]:
        """Surrounds what may take long without anything being in flight."""
        self._blocked_since = time.monotonic()
        try:
            yield
        finally:
            self._blocked_since = None

    def _spread(self, groups: Iterable[Group]) -> None:
        with self._pace:
            for group in groups:
                for pending in group.records:
                    if not (pending.confirmed or pending.is_passed_over):
                        self._queues[partition_of(pending.record.key, len(self._queues))].append(pending)

    async def _send_round(self) -> None:
        """Send a batch to each partition that has none in flight."""
        due = [number for number, queue in enumerate(self._queues) if queue and number not in self._in_flight]
        fair_bytes = max(MIN_BATCH_BYTES, self._round_size.bytes // max(1, len(due)))
        max_bytes = min(fair_bytes, MAX_BATCH_BYTES, self._connected.max_message_bytes or MAX_BATCH_BYTES)
        is_behind = self._pace.is_behind(self._window.oldest_s)
        batches = []
        for partition in due:
            batches.append((partition, *self._next_batch(self._queues[partition], max_bytes)))
            if is_behind:
                await asyncio.sleep(0)
        for partition, batch, records in batches:
            await self._send(partition, batch, records)
        if batches:  # Those that are confirmed soon need not wait for the last.
            asyncio.get_running_loop().call_later(ROUND_S, self._wake.set)

    def _next_batch(self, queue: deque[PendingRecord], max_bytes: int) -> tuple[Any, list[PendingRecord]]:
        batch = self._connected.producer.create_batch()
        records: list[PendingRecord] = []
        size = 0
        with self._pace:
            while queue:
                record = queue[0].record
                size += queue[0].size
                if records and (size > max_bytes or len(records) >= self._rejection_search.batch_records):
                    break
                appended = batch.append(
                    key=record.key, value=record.value, timestamp=record.timestamp_ms, headers=record.headers
                )
                if appended is None:
                    break
                records.append(queue.popleft())
        return batch, records

    async def _send(self, partition: int, batch: Any, records: list[PendingRecord]) -> None:
        """Send a batch of the records that came first to a partition."""
        if self._lost:  # The batch before may have failed just now, and this one must not overtake it.
            raise self._lost
        limit = self._connected.max_message_bytes
        if limit is not None and len(records) == 1 and batch.size() > limit:
            with self._maybe_blocked():
                is_kept = await self._keep_too_large(records[0], batch.size())
            if is_kept:
                self._wake.set()
                return
            if self._lost:
                raise self._lost
        self._in_flight[partition] = BatchInFlight(records, time.monotonic())
        try:
            future = await self._connected.producer.send_batch(batch, self._connected.topic, partition=partition)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that it knows the partition.
            raise ProducerLostError(f"a batch was not taken: {explain(error)}") from error
        future.add_done_callback(partial(self._batch_done, partition))

    def _batch_done(self, partition: int, done: asyncio.Future[Any]) -> None:
        """A batch was confirmed, or failed, perhaps after the producer was given up."""
        records, sent_at = self._in_flight.pop(partition)
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            if self._lost is None:  # Else it would undo what a rejection in the same answer has narrowed.
                self._rejection_search.accepted()
            self._round_size.confirmed_after(time.monotonic() - sent_at)
            with self._pace:
                self._window.confirm(records)
            self._on_published(len(records))
            self._wake.set()
        elif self._lost:
            pass  # The next producer is given its records.
        elif isinstance(error, REJECTED_FOR_GOOD):
            self._rejection_search.rejected(records, explain(error))
            self._lose(f"a batch of {len(records)} records was refused: {explain(error)}")
        else:
            self._lose(f"a batch failed: {explain(error)}")

    # -- Watching ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> NoReturn:
        """Notice a producer that has stalled, and end with one that is lost."""
        while True:
            if (age_s := self._oldest_s) > self._stall_s:
                self._lose(f"no confirmation for {age_s:.0f} s")
            if self._lost:  # Publishing may be waiting for something that never comes.
                raise self._lost
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _probe(self) -> NoReturn:
        """While only Kafka could make a record durable, know whether it answers even when nothing is sent."""
        while True:
            if not self._disk_ok() and not self._in_flight:
                self._answers = await answers(self._connected.producer, timeout_s=PROBE_INTERVAL_S)
            else:
                self._answers = True
            await asyncio.sleep(PROBE_INTERVAL_S)
