"""Publishes one topic, on one producer after the other, for ever."""

from __future__ import annotations

import asyncio
import gc
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bridge import metrics
from bridge.journal.groups import PendingRecord
from bridge.journal.topic_queue import TopicQueue
from bridge.publish.pacing import Arrivals, Pace, RoundSize
from bridge.publish.producer_session import (
    MAX_BATCH_BYTES,
    ConnectedProducer,
    ProducerLostError,
    ProducerSession,
    Survivors,
)
from bridge.publish.quarantine import Quarantine
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.source import Source
from bridge.publish.window import Window
from bridge.settings import BridgeSettings
from common.kafka.clients import ClientArguments
from common.kafka.diagnosis import explain
from common.kafka.producer import abandon, make_producer
from common.kafka.topics import TopicsMissingError, ensure_topics, max_message_bytes
from common.logs import Throttle
from common.retry import Backoff, retry

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
STABLE_AFTER_S = 20.0


class TopicPublisher:
    """What survives a producer: the window, the pace, the search for a record that the broker refuses.

    Args:
        queue: what is published.
        source: the journal that has the queue.
        quarantine: where records go that the broker refuses for good.
        settings: connection, topics, compression.
        arrivals: of callbacks, shared by all topics.
        throttle: shared by all topics, so that a problem of theirs is logged once.
    """

    def __init__(
        self,
        queue: TopicQueue,
        source: Source,
        quarantine: Quarantine,
        settings: BridgeSettings,
        *,
        arrivals: Arrivals,
        throttle: Throttle,
    ) -> None:
        self._topic = queue.topic
        self._source = source
        self._quarantine = quarantine
        self._settings = settings
        self._throttle = throttle
        self._window = Window(queue, source)
        self._pace = Pace(arrivals)
        self._round_size = RoundSize()
        self._rejection_search = RejectionSearch()
        self._session: ProducerSession | None = None
        self._published = metrics.PUBLISHED.labels(self._topic)

    def wake(self) -> None:
        """Something can be leased from the queue."""
        if self._session is not None:
            self._session.wake()

    @property
    def is_connected(self) -> bool:
        """Whether there is a producer that knows the topic."""
        return self._session is not None

    @property
    def confirms(self) -> bool:
        """Whether Kafka is confirming records at present, as far as can be known."""
        return self._session is not None and self._session.confirms

    async def run(self) -> None:
        """Publish for ever."""
        loop = asyncio.get_running_loop()
        waits = Backoff()
        while True:
            started = loop.time()
            try:
                await self._use_one_producer()
            except* ProducerLostError as lost:
                self._report(f"connecting anew for {self._topic}: {lost.exceptions[0]}")
            except* Exception:
                # Whatever it is, what is in the journal must reach Kafka.
                log.exception("publishing to %s failed; starting anew", self._topic)
            metrics.PRODUCER_REPLACED.inc()
            gc.collect()  # All that the producer held lies in cycles, megabytes of it.
            if self._rejection_search.pop_has_narrowed() or loop.time() - started > STABLE_AFTER_S:
                waits.reset()
            await asyncio.sleep(next(waits))

    async def _use_one_producer(self) -> None:
        """Connect, and publish until the producer is lost."""
        if (rejected := self._rejection_search.pop_found()) is not None:
            await self._put_in_quarantine(rejected.pending, rejected.reason)
        connected = await self._connect()
        try:
            self._session = ProducerSession(
                connected,
                Survivors(self._window, self._pace, self._round_size, self._rejection_search),
                quarantine=self._put_in_quarantine,
                disk_ok=lambda: self._source.disk_ok,
                stall_s=self._settings.kafka_stall_s,
                on_published=self._published.inc,
            )
            await self._session.run()
        finally:
            self._session = None
            await abandon(connected.producer)

    async def _put_in_quarantine(self, pending: PendingRecord, reason: str) -> None:
        """Keep a record that Kafka refuses for good, announce it, and let those behind it pass.

        Where the disk does not take it, it holds them up: it was acknowledged.
        """
        announcement = await retry(
            lambda: self._source.on_disk(lambda: self._quarantine.keep(pending.record, reason)),
            on=OSError,
            report=lambda error: self._report(
                f"a record that Kafka refuses for good cannot be put into quarantine ({error}): it holds up all others"
            ),
        )
        if self._topic != self._settings.dlq_topic:
            self._source.append(announcement, forced=True)
        metrics.QUARANTINED.labels(self._topic).inc()
        self._window.confirm([pending])

    # -- Connecting ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> ConnectedProducer:
        """A producer that has reached a broker and knows the topic, tried for until there is one."""
        servers = self._settings.kafka_bootstrap_servers
        producer, limit = await retry(
            self._start_producer,
            on=(KafkaError, OSError, TimeoutError, ValueError),
            report=lambda error: self._report(f"Kafka at {servers} cannot be used: {explain(error)}"),
        )
        log.info("connected to Kafka at %s for %s", servers, self._topic)
        partitions = await retry(
            lambda: producer.partitions_for(self._topic),
            on=KafkaError,
            report=lambda error: self._report(f"the topic {self._topic} cannot be used: {explain(error)}"),
            first_s=0.5,
        )
        return ConnectedProducer(producer, self._topic, len(partitions), limit)

    async def _start_producer(self) -> tuple[AIOKafkaProducer, int | None]:
        """A producer, and the largest batch that the topic takes."""
        arguments = self._settings.kafka_client()
        producer = make_producer(
            arguments,
            client_id="im-bridge",
            max_batch_bytes=MAX_BATCH_BYTES,
            max_request_bytes=self._settings.max_record_bytes,
            request_timeout_s=REQUEST_TIMEOUT_S,
            compression=self._settings.compression,
        )
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await producer.start()
                await self._ensure_topic(arguments)
                return producer, await max_message_bytes(arguments, self._topic)
        except BaseException:
            await abandon(producer)
            raise

    async def _ensure_topic(self, arguments: ClientArguments) -> None:
        ours = [topic for topic in self._settings.topics if topic.name == self._topic]
        try:
            await ensure_topics(arguments, ours)
        except TopicsMissingError as error:
            self._report(str(error))

    def _report(self, problem: str) -> None:
        """Log a problem, but not each time that it is met again."""
        if self._throttle.admits(problem):
            log.warning("%s (trying for ever)", problem)
