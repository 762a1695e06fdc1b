"""Fourth step: from the journal's lanes to Kafka, in order, until every record is confirmed.

Each lane has a publisher and a producer of its own, so that a topic that is missing, forbidden or slow holds up no
other. A publisher spreads the groups of its lane over the partitions, and has one batch in flight for each: that keeps
the order of a key whatever happens to a batch. The producer is idempotent with acks=all, and retries for ever what may
pass later; aiokafka's batch interface costs a tenth of a `send` per record.

What a producer cannot recover from by itself is answered by a new one, which is given everything again that was not
confirmed, in order: a failed batch (its sequence number is lost), a dead sender task, a batch that is not confirmed for
long (all brokers may have moved to other addresses). This may duplicate, and never reorders first occurrences.

A record that the broker refuses for good is set aside on disk and announced on the dead-letter topic, so that it holds
up nothing behind it. Where even the disk does not take it, it does: it was acknowledged.

A backlog leaves slowly on purpose: its replies went long ago, and whoever comes now is to find the event loop free.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from bridge import metrics
from bridge.journal.journal import Journal
from bridge.journal.topic_queue import Entry, Group, Lane, drop_complete
from bridge.publish.pacing import Pace
from bridge.publish.quarantine import RefusedRecords
from bridge.settings import BridgeSettings
from common.kafka.diagnosis import explain
from common.kafka.partition import partition_of
from common.kafka.topics import TopicsMissingError, ensure_topics, max_message_bytes
from common.logs import Throttle
from common.retry import backoff

log = logging.getLogger(__name__)

BATCH_BYTES = 256 * 1024
# A round is no larger than the event loop can take in some milliseconds, but where brokers are far away, it is as much
# larger as they take longer than ROUND_S.
ROUND_BYTES = 256 * 1024
LEAST_BATCH_BYTES = 16 * 1024
LONGEST_ROUND_TRIP_S = 0.25
BEHIND_S = 0.25
"""A record that has waited for longer belongs to a backlog."""
IDLE_AFTER_S = 1.0
# Batches of all partitions leave together when those before are confirmed: fewer and larger requests cost half the CPU.
# A partition that takes longer than this is not waited for.
ROUND_S = 0.02
MOST_BATCH_RECORDS = 65_536
REQUEST_TIMEOUT_S = 10.0
SLOW_AFTER = 1.0
STABLE_AFTER = 20.0
WATCH_INTERVAL = 0.25
PROBE_INTERVAL = 1.0
STOP_TIMEOUT = 1.0
REPORT_INTERVAL = 60.0
REFUSED_FOR_GOOD = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError, InvalidTimestampError)


class ProducerLostError(Exception):
    """The producer is of no use any more. The message says why."""


class _Sent(NamedTuple):
    """A batch in flight."""

    entries: list[Entry]
    at: float
    """When it was sent (loop time)."""


class LanePublisher:
    """Publishes one lane, on one producer after the other.

    Args:
        lane: what is published.
        journal: told what Kafka confirmed.
        refused: where records go that the broker refuses for good.
        settings: connection, topics, compression.
        throttle: shared by all, so that a problem of theirs is logged once.
    """

    def __init__(
        self, lane: Lane, journal: Journal, refused: RefusedRecords, settings: BridgeSettings, throttle: Throttle
    ) -> None:
        self._lane = lane
        self._published = metrics.PUBLISHED.labels(lane.topic)
        self._journal = journal
        self._refused = refused
        self._settings = settings
        self._window: deque[Group] = deque()
        """Groups that were taken and are not complete, oldest first. It outlives a producer."""
        self._queues: list[deque[Entry]] = []
        self._in_flight: dict[int, _Sent] = {}
        self._wake = asyncio.Event()
        self._lost: ProducerLostError | None = None
        self._limit: int | None = None
        """Largest batch that the topic takes, where the broker tells."""
        self._batch_records = MOST_BATCH_RECORDS
        """Most records of a batch: fewer while a record is looked for that the broker refuses."""
        self._refusal: tuple[Entry, str] | None = None
        """The record that was found to be refused for good, and why."""
        self._is_bisecting = False
        """Whether the producer was given up on the search for a refused record: no reason to wait long."""
        self._answers = True
        self._throttle = throttle
        self._offered_at = 0.0
        """When something could be taken last (loop time)."""
        self._pace = Pace()
        self._round_trip = 0.0
        """Seconds that Kafka takes to confirm a batch, on average lately."""
        self.connected = False

    def wake(self) -> None:
        """Something can be taken."""
        self._offered_at = asyncio.get_running_loop().time()
        self._wake.set()

    def lose(self, reason: str) -> None:
        """Give up the producer."""
        self._lost = self._lost or ProducerLostError(reason)
        self._wake.set()

    @property
    def confirms(self) -> bool:
        """Whether Kafka is confirming records at present, as far as can be known."""
        return self.connected and self._answers and self._age < SLOW_AFTER

    @property
    def _age(self) -> float:
        """Seconds since the oldest batch in flight was sent."""
        oldest = min((sent.at for sent in self._in_flight.values()), default=None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest

    async def run(self) -> None:
        """Publish for ever."""
        loop = asyncio.get_running_loop()
        waits = backoff()
        while True:
            started = loop.time()
            try:
                await self._use_one_producer()
            except* ProducerLostError as lost:
                self._report(f"connecting anew for {self._lane.topic}: {lost.exceptions[0]}")
            except* Exception:
                # Whatever it is, what is in the journal must reach Kafka.
                log.exception("publishing to %s failed; starting anew", self._lane.topic)
            metrics.PRODUCER_REPLACED.inc()
            gc.collect()  # All that the producer held lies in cycles, megabytes of it.
            if self._is_bisecting or loop.time() - started > STABLE_AFTER:
                waits = backoff()
            self._is_bisecting = False
            await asyncio.sleep(next(waits))

    async def _use_one_producer(self) -> None:
        """Connect, and publish until the producer is lost."""
        producer = await self._connect()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                tasks.create_task(self._probe(producer))
                tasks.create_task(self._publish(producer))
        finally:
            self.connected = False
            await _abandon(producer)

    # -- Connecting ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> AIOKafkaProducer:
        servers = self._settings.kafka_bootstrap_servers
        for wait in backoff():
            producer: AIOKafkaProducer | None = None
            try:
                arguments = self._settings.kafka_client()
                producer = self._producer(arguments)
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    await producer.start()
                    await self._ensure_topic(arguments)
                    self._limit = await max_message_bytes(arguments, self._lane.topic)
            except (KafkaError, OSError, TimeoutError, ValueError) as error:
                if producer is not None:
                    await _abandon(producer)
                self._report(f"Kafka at {servers} cannot be used: {explain(error)}")
                await asyncio.sleep(wait)
            else:
                log.info("connected to Kafka at %s for %s", servers, self._lane.topic)
                self._lost = None
                self._in_flight = {}
                return producer
        raise AssertionError("backoff ends never")

    def _producer(self, arguments: dict[str, Any]) -> AIOKafkaProducer:
        compression = self._settings.compression
        return AIOKafkaProducer(
            **arguments,
            client_id="im-bridge",
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=self._settings.max_record_bytes,
            request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
            metadata_max_age_ms=30_000,
            compression_type=None if compression == "none" else compression,
        )

    async def _ensure_topic(self, arguments: dict[str, Any]) -> None:
        ours = [topic for topic in self._settings.topics if topic.name == self._lane.topic]
        try:
            await ensure_topics(arguments, ours)
        except TopicsMissingError as error:
            self._report(str(error))

    def _report(self, problem: str) -> None:
        """Log a problem, but not each time that it is met again."""
        if self._throttle.admits(problem):
            log.warning("%s (trying for ever)", problem)

    # -- Publishing ----------------------------------------------------------------------------------------------------

    async def _publish(self, producer: AIOKafkaProducer) -> None:
        """Publish until the producer is lost.

        Raises:
            ProducerLostError: always, in the end.
        """
        if self._refusal is not None:
            await self._set_aside(*self._refusal)
            self._refusal = None
        partitions = await self._partitions(producer)
        self.connected = True
        self._queues = [deque() for _ in range(partitions)]
        self._spread(self._window)
        while True:
            self._wake.clear()
            while group := await self._lane.take():
                self._window.append(group)
                self._spread((group,))
            if not self._in_flight or self._age > ROUND_S:
                if self._is_behind and self._yields:
                    await self._pace.rest()
                self._pace.start()
                await self._send_round(producer)
            if self._lost:
                raise self._lost
            await self._wake.wait()

    async def _partitions(self, producer: AIOKafkaProducer) -> int:
        for wait in backoff(first=0.5):
            try:
                return len(await producer.partitions_for(self._lane.topic))
            except KafkaError as error:
                self._report(f"the topic {self._lane.topic} cannot be used: {explain(error)}")
                await asyncio.sleep(wait)
        raise AssertionError("backoff ends never")

    @property
    def _is_behind(self) -> bool:
        """Whether what is published next is of a backlog."""
        return bool(self._window) and asyncio.get_running_loop().time() - self._window[0].flushed > BEHIND_S

    @property
    def _yields(self) -> bool:
        """Whether a backlog gives way: callbacks do come, and their replies need not wait for Kafka behind it."""
        return asyncio.get_running_loop().time() - self._offered_at < IDLE_AFTER_S and self._journal.disk_ok

    def _spread(self, groups: Iterable[Group]) -> None:
        with self._pace:
            for group in groups:
                for entry in group.entries:
                    if not entry.confirmed:
                        self._queues[partition_of(entry.record.key, len(self._queues))].append(entry)

    async def _send_round(self, producer: AIOKafkaProducer) -> None:
        """Send a batch to each partition that has none in flight."""
        due = [number for number, queue in enumerate(self._queues) if queue and number not in self._in_flight]
        round_bytes = ROUND_BYTES * max(1.0, self._round_trip / ROUND_S)
        fair_bytes = max(LEAST_BATCH_BYTES, int(round_bytes) // max(1, len(due)))
        most_bytes = min(fair_bytes, BATCH_BYTES, self._limit or BATCH_BYTES)
        is_behind = self._is_behind
        batches = []
        for partition in due:
            batches.append((partition, *self._next_batch(producer, self._queues[partition], most_bytes)))
            if is_behind:
                await asyncio.sleep(0)
        for partition, batch, entries in batches:
            await self._send(producer, partition, batch, entries)
        if batches:  # Those that are confirmed soon need not wait for the last.
            asyncio.get_running_loop().call_later(ROUND_S, self._wake.set)

    async def _send(self, producer: AIOKafkaProducer, partition: int, batch: Any, entries: list[Entry]) -> None:
        """Send a batch of the records that came first to a partition."""
        if self._lost:  # The batch before may have failed just now, and this one must not overtake it.
            raise self._lost
        if self._limit is not None and len(entries) == 1 and batch.size() > self._limit:
            await self._set_aside(entries[0], f"{batch.size()} bytes, of which the topic takes {self._limit}")
            return
        self._in_flight[partition] = _Sent(entries, asyncio.get_running_loop().time())
        try:
            future = await producer.send_batch(batch, self._lane.topic, partition=partition)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that it knows the partition.
            raise ProducerLostError(f"a batch was not taken: {explain(error)}") from error
        future.add_done_callback(partial(self._confirmed, self._in_flight, partition))

    def _next_batch(self, producer: AIOKafkaProducer, queue: deque[Entry], most_bytes: int) -> tuple[Any, list[Entry]]:
        batch = producer.create_batch()
        entries: list[Entry] = []
        size = 0
        with self._pace:
            while queue:
                record = queue[0].record
                size += queue[0].size
                if entries and (size > most_bytes or len(entries) >= self._batch_records):
                    break
                appended = batch.append(
                    key=record.key, value=record.value, timestamp=record.timestamp_ms, headers=record.headers
                )
                if appended is None:
                    break
                entries.append(queue.popleft())
        return batch, entries

    def _confirmed(self, in_flight: dict[int, _Sent], partition: int, done: asyncio.Future[Any]) -> None:
        """A batch was confirmed, or failed."""
        entries, sent_at = in_flight.pop(partition)
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            self._batch_records = min(self._batch_records * 2, MOST_BATCH_RECORDS)
            took = asyncio.get_running_loop().time() - sent_at
            self._round_trip += (min(took, LONGEST_ROUND_TRIP_S) - self._round_trip) / 16
            with self._pace:
                self._confirm(entries)
            self._published.inc(len(entries))
        elif in_flight is not self._in_flight:
            pass  # Of a producer that was given up; its records were given to the next one.
        elif isinstance(error, REFUSED_FOR_GOOD):
            self._refuse(entries, error)
        else:
            self.lose(f"a batch failed: {explain(error)}")

    def _confirm(self, entries: list[Entry]) -> None:
        self._journal.confirm(entries)
        drop_complete(self._window)
        self._wake.set()

    # -- What the broker refuses for good ------------------------------------------------------------------------------

    def _refuse(self, entries: list[Entry], error: KafkaError) -> None:
        """Find the record that is refused by making batches smaller; set it aside when it is alone."""
        self._is_bisecting = True
        if len(entries) == 1:
            self._refusal = entries[0], explain(error)
        else:
            self._batch_records = len(entries) // 2
        self.lose(f"a batch of {len(entries)} records was refused: {explain(error)}")

    async def _set_aside(self, entry: Entry, reason: str) -> None:
        for wait in backoff():
            try:
                announcement = await self._journal.on_disk(lambda: self._refused.keep(entry.record, reason))
            except OSError as error:
                self._report(
                    f"a record that Kafka refuses for good cannot be set aside ({error}): it holds up all others"
                )
                await asyncio.sleep(wait)
            else:
                break
        if self._lane.topic != self._settings.dlq_topic:
            self._journal.append(announcement, forced=True)
        metrics.SET_ASIDE.labels(self._lane.topic).inc()
        self._confirm([entry])

    # -- Watching ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Notice a producer that has stalled."""
        while True:
            if (age := self._age) > self._settings.kafka_stall_s:
                self.lose(f"no confirmation for {age:.0f} s")
            await asyncio.sleep(WATCH_INTERVAL)

    async def _probe(self, producer: AIOKafkaProducer) -> None:
        """While only Kafka could make a record durable, know whether it answers even when nothing is sent."""
        while True:
            if not self._journal.disk_ok and not self._in_flight:
                try:
                    async with asyncio.timeout(PROBE_INTERVAL):
                        await producer.client.fetch_all_metadata()
                    self._answers = True
                except (KafkaError, TimeoutError, OSError):
                    self._answers = False
            else:
                self._answers = True
            await asyncio.sleep(PROBE_INTERVAL)


class Publisher:
    """One `LanePublisher` for each lane of the journal.

    Args:
        journal: whose lanes are published.
        settings: connection, topics, compression.
    """

    def __init__(self, journal: Journal, settings: BridgeSettings) -> None:
        self._journal = journal
        self._settings = settings
        self._refused = RefusedRecords(journal.folder, dlq_topic=settings.dlq_topic)
        self._throttle = Throttle(REPORT_INTERVAL)
        self._lanes: dict[str, LanePublisher] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._watch_timer: asyncio.TimerHandle | None = None
        journal.on_offer = self._offered

    def start(self) -> None:
        """Connect in the background, for ever."""
        for topic in (self._settings.topic, self._settings.dlq_topic, *self._journal.lanes):
            self._add(self._journal.lane(topic))
        self._watch()

    async def stop(self) -> None:
        """Give up what is in flight; it stays in the journal."""
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def state(self) -> str:
        """`confirming`, `slow` (connected, and nothing confirmed for a second), `away`."""
        events = self._lanes.get(self._settings.topic)
        if events is None or not events.connected:
            return "away"
        return "confirming" if events.confirms else "slow"

    def _offered(self, lane: Lane) -> None:
        if lane.topic in self._lanes:
            self._lanes[lane.topic].wake()
        elif self._tasks:
            self._add(lane)  # Adopted, from a time when topics had other names.

    def _add(self, lane: Lane) -> None:
        if lane.topic not in self._lanes:
            publisher = LanePublisher(lane, self._journal, self._refused, self._settings, self._throttle)
            self._lanes[lane.topic] = publisher
            self._tasks.append(asyncio.get_running_loop().create_task(publisher.run()))

    def _watch(self) -> None:
        self._journal.kafka_confirms = self.state == "confirming"
        self._watch_timer = asyncio.get_running_loop().call_later(WATCH_INTERVAL, self._watch)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer without its flush, which would wait for the broker for ever: what it held is in the journal."""
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    producer._closed = True
    with contextlib.suppress(KafkaError, TimeoutError, OSError):
        await asyncio.wait_for(producer.client.close(), STOP_TIMEOUT)
