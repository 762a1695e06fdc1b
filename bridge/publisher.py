"""Fourth step: from the journal's lanes to Kafka, in order, until every record is confirmed.

Each lane has a pump of its own, so that a topic that is missing or forbidden holds up no other. A pump spreads the
groups of its lane over the partitions, and has one batch in flight for each: that keeps the order of a key whatever
happens to a batch. The producer is idempotent with acks=all, and retries for ever what may pass later; aiokafka's batch
interface costs a tenth of a `send` per record.

What the producer cannot recover from by itself is answered by a new producer, to which the pumps give everything again
that was not confirmed, in order: a failed batch (its sequence number is lost), a dead sender task, a partition whose
batch is not confirmed for long (all brokers may have moved to other addresses). This may duplicate, and never reorders
the first occurrences.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import murmur2

from bridge import metrics
from bridge.journal import Entry, Group, Journal, Lane
from bridge.settings import BridgeSettings
from common.backoff import backoff
from common.topics import TopicsMissingError, ensure_topics

log = logging.getLogger(__name__)

BATCH_BYTES = 256 * 1024
REQUEST_TIMEOUT_MS = 10_000
SLOW_AFTER = 1.0
STALLED_AFTER = 20.0
WATCH_INTERVAL = 0.25
STOP_TIMEOUT = 1.0


class ProducerLostError(Exception):
    """The producer is of no use any more. The message says why."""


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's own clients choose for a key. Cached, for the hash is pure Python: 4 us a key."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions


class Pump:
    """Moves one lane to its topic with one producer, as long as that one works.

    Args:
        window: groups that were taken and are not complete, oldest first. It outlives the pump.
    """

    def __init__(self, lane: Lane, journal: Journal, *, window: deque[Group]) -> None:
        self._lane = lane
        self._journal = journal
        self._window = window
        self._queues: list[deque[Entry]] = []
        self._in_flight: dict[int, float] = {}
        """Partition → when its batch was sent (loop time)."""
        self._wake = asyncio.Event()
        self._lost: ProducerLostError | None = None

    def wake(self) -> None:
        """Something can be taken."""
        self._wake.set()

    @property
    def oldest_in_flight(self) -> float | None:
        """When the oldest unconfirmed batch was sent (loop time)."""
        return min(self._in_flight.values(), default=None)

    async def run(self, producer: AIOKafkaProducer) -> None:
        """Publish until the producer is lost.

        Raises:
            ProducerLostError: always, in the end.
        """
        topic = self._lane.topic
        partitions = len(await _partitions(producer, topic))
        self._queues = [deque() for _ in range(partitions)]
        self._spread(self._window, partitions)
        while True:
            self._wake.clear()
            while group := await self._lane.take():
                self._window.append(group)
                self._spread([group], partitions)
            for partition, queue in enumerate(self._queues):
                if queue and partition not in self._in_flight:
                    await self._send(producer, partition, queue)
            if self._lost:
                raise self._lost
            await self._wake.wait()

    def _spread(self, groups: Sequence[Group] | deque[Group], partitions: int) -> None:
        for group in groups:
            for entry in group.entries:
                if not entry.confirmed:
                    self._queues[partition_of(entry.record.key, partitions)].append(entry)

    async def _send(self, producer: AIOKafkaProducer, partition: int, queue: deque[Entry]) -> None:
        """Send the head of a partition's queue as one batch."""
        batch = producer.create_batch()
        entries: list[Entry] = []
        while queue:
            record = queue[0].record
            if (
                batch.append(key=record.key, value=record.value, timestamp=record.timestamp_ms, headers=record.headers)
                is None
            ):
                break
            entries.append(queue.popleft())
        loop = asyncio.get_running_loop()
        self._in_flight[partition] = loop.time()
        try:
            future = await producer.send_batch(batch, self._lane.topic, partition=partition)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that it knows the partition.
            raise ProducerLostError(f"a batch for {self._lane.topic} was not taken: {error!r}") from error
        future.add_done_callback(lambda done: self._sent(partition, entries, done))

    def _sent(self, partition: int, entries: list[Entry], done: asyncio.Future[Any]) -> None:
        del self._in_flight[partition]
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            self.lose(f"a batch for {self._lane.topic} failed: {error!r}")
            return
        self._journal.confirm(entries)
        metrics.PUBLISHED.labels(self._lane.topic).inc(len(entries))
        while self._window and self._window[0].unconfirmed == 0:
            self._window.popleft()
        self._wake.set()

    def lose(self, reason: str) -> None:
        """Give up the producer."""
        self._lost = self._lost or ProducerLostError(reason)
        self._wake.set()


class Publisher:
    """Runs the pumps, on one producer after the other.

    Args:
        journal: whose lanes are published.
        settings: connection, topics, compression.
    """

    def __init__(self, journal: Journal, settings: BridgeSettings) -> None:
        self._journal = journal
        self._settings = settings
        self._pumps: list[Pump] = []
        self._windows: dict[str, deque[Group]] = {}
        self._task: asyncio.Task[None] | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._connected = False
        self._last_problem = ""
        journal.on_offer = self._wake

    def start(self) -> None:
        """Connect in the background, for ever."""
        for topic in (self._settings.topic, self._settings.dlq_topic):
            self._journal.lane(topic)
        self._task = asyncio.create_task(self._run())
        self._watch()

    async def stop(self) -> None:
        """Give up what is in flight; it stays in the journal."""
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def state(self) -> str:
        """`confirming`, `slow` (connected, and nothing confirmed for a second), `away`."""
        if not self._connected:
            return "away"
        return "confirming" if self._journal.kafka_confirms else "slow"

    def _wake(self) -> None:
        for pump in self._pumps:
            pump.wake()

    def _watch(self) -> None:
        """Notice that Kafka confirms nothing, and that a producer has stalled."""
        loop = asyncio.get_running_loop()
        since = [sent for pump in self._pumps if (sent := pump.oldest_in_flight) is not None]
        age = loop.time() - min(since) if since else 0.0
        self._journal.kafka_confirms = self._connected and age < SLOW_AFTER
        if age > STALLED_AFTER:
            for pump in self._pumps:
                pump.lose(f"no confirmation for {age:.0f} s")
        self._watch_timer = loop.call_later(WATCH_INTERVAL, self._watch)

    async def _run(self) -> None:
        while True:
            producer = await self._connect()
            try:
                await self._publish(producer)
            except ProducerLostError as lost:
                self._report(f"connecting to Kafka anew: {lost}")
                metrics.PRODUCER_REPLACED.inc()
            except Exception:
                # Whatever it is, what is in the journal must reach Kafka.
                log.exception("publishing failed; starting anew")
                metrics.PRODUCER_REPLACED.inc()
                await asyncio.sleep(1)
            finally:
                self._connected = self._journal.kafka_confirms = False
                await _abandon(producer)

    async def _connect(self) -> AIOKafkaProducer:
        for wait in backoff():
            producer: AIOKafkaProducer | None = None
            try:
                arguments = self._settings.kafka_client()
                producer = self._producer(arguments)
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    await producer.start()
                    await self._ensure_topics(arguments)
            except (KafkaError, OSError, TimeoutError, ValueError) as error:
                if producer is not None:
                    await _abandon(producer)
                self._report(f"Kafka at {self._settings.kafka_bootstrap_servers} cannot be used: {_explain(error)}")
                await asyncio.sleep(wait)
            else:
                log.info("connected to Kafka at %s", self._settings.kafka_bootstrap_servers)
                self._last_problem = ""
                self._connected = self._journal.kafka_confirms = True
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
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=30_000,
            compression_type=None if compression == "none" else compression,
        )

    async def _ensure_topics(self, arguments: dict[str, Any]) -> None:
        try:
            await ensure_topics(arguments, self._settings.topics)
        except TopicsMissingError as error:
            self._report(str(error))

    async def _publish(self, producer: AIOKafkaProducer) -> None:
        """Run a pump per lane until the producer is lost."""
        self._pumps = [
            Pump(lane, self._journal, window=self._windows.setdefault(topic, deque()))
            for topic, lane in self._journal.lanes.items()
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for pump in self._pumps:
                    group.create_task(pump.run(producer))
        except* ProducerLostError as lost:
            raise lost.exceptions[0] from None
        finally:
            self._pumps = []

    def _report(self, problem: str) -> None:
        """Log a problem once, however often it comes in a row."""
        if problem != self._last_problem:
            log.warning("%s (trying for ever)", problem)
            self._last_problem = problem


async def _partitions(producer: AIOKafkaProducer, topic: str) -> set[int]:
    for wait in backoff(first=0.5, most=5.0):
        try:
            return set(await producer.partitions_for(topic))
        except KafkaError as error:
            log.warning("the topic %s cannot be used yet: %s", topic, _explain(error))
            await asyncio.sleep(wait)
    raise AssertionError("backoff ends never")


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer without its flush, which would wait for the broker for ever: what it held is in the journal."""
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    producer._closed = True
    with contextlib.suppress(KafkaError, TimeoutError, OSError):
        await asyncio.wait_for(producer.client.close(), STOP_TIMEOUT)


def _explain(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, KafkaConnectionError):
        return "nothing listens there, or it closes the connection"
    return f"{type(error).__name__}: {error}"
