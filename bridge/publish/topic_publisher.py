"""Publishes one topic, on one producer after the other, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bridge import metrics
from bridge.journal.groups import PendingRecord
from bridge.journal.journal import Journal
from bridge.journal.topic_queue import TopicQueue
from bridge.publish.pacing import Pace, RoundSize
from bridge.publish.quarantine import Quarantine
from bridge.publish.refusal_search import RefusalSearch
from bridge.publish.session import (
    MAX_BATCH_BYTES,
    ConnectedProducer,
    ProducerLostError,
    ProducerSession,
    Survivors,
)
from bridge.publish.window import Window
from bridge.settings import BridgeSettings
from common.kafka.diagnosis import explain
from common.kafka.topics import TopicsMissingError, ensure_topics, max_message_bytes
from common.logs import Throttle
from common.retry import backoff

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
METADATA_MAX_AGE_MS = 30_000
STABLE_AFTER_S = 20.0
ABANDON_TIMEOUT_S = 1.0


class TopicPublisher:
    """What survives a producer: the window, the pace, the search for a record that the broker refuses.

    Args:
        queue: what is published.
        journal: told what Kafka confirmed.
        quarantine: where records go that the broker refuses for good.
        settings: connection, topics, compression.
        throttle: shared by all topics, so that a problem of theirs is logged once.
    """

    def __init__(
        self,
        queue: TopicQueue,
        journal: Journal,
        quarantine: Quarantine,
        settings: BridgeSettings,
        throttle: Throttle,
    ) -> None:
        self._topic = queue.topic
        self._journal = journal
        self._quarantine = quarantine
        self._settings = settings
        self._throttle = throttle
        self._window = Window(queue, journal)
        self._pace = Pace()
        self._round_size = RoundSize()
        self._refusal_search = RefusalSearch()
        self._session: ProducerSession | None = None
        self._published = metrics.PUBLISHED.labels(self._topic)

    def wake(self) -> None:
        """Something can be leased from the queue."""
        self._pace.callback_came()
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
        waits = backoff()
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
            if self._refusal_search.pop_has_narrowed() or loop.time() - started > STABLE_AFTER_S:
                waits = backoff()
            await asyncio.sleep(next(waits))

    async def _use_one_producer(self) -> None:
        """Connect, and publish until the producer is lost."""
        if (refused := self._refusal_search.pop_found()) is not None:
            await self._put_in_quarantine(refused.pending, refused.reason)
        connected = await self._connect()
        try:
            self._session = ProducerSession(
                connected,
                Survivors(self._window, self._pace, self._round_size, self._refusal_search),
                quarantine=self._put_in_quarantine,
                disk_ok=lambda: self._journal.disk_ok,
                stall_s=self._settings.kafka_stall_s,
                on_published=self._published.inc,
            )
            await self._session.run()
        finally:
            self._session = None
            await _abandon(connected.producer)

    async def _put_in_quarantine(self, pending: PendingRecord, reason: str) -> None:
        """Keep a record that Kafka refuses for good, announce it, and let those behind it pass.

        Where the disk does not take it, it holds them up: it was acknowledged.
        """
        for wait in backoff():
            try:
                announcement = await self._journal.on_disk(lambda: self._quarantine.keep(pending.record, reason))
            except OSError as error:
                self._report(
                    f"a record that Kafka refuses for good cannot be set aside ({error}): it holds up all others"
                )
                await asyncio.sleep(wait)
            else:
                break
        if self._topic != self._settings.dlq_topic:
            self._journal.append(announcement, forced=True)
        metrics.SET_ASIDE.labels(self._topic).inc()
        self._window.confirm([pending])

    # -- Connecting ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> ConnectedProducer:
        servers = self._settings.kafka_bootstrap_servers
        for wait in backoff():
            producer: AIOKafkaProducer | None = None
            try:
                arguments = self._settings.kafka_client()
                producer = self._producer(arguments)
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    await producer.start()
                    await self._ensure_topic(arguments)
                    limit = await max_message_bytes(arguments, self._topic)
            except (KafkaError, OSError, TimeoutError, ValueError) as error:
                if producer is not None:
                    await _abandon(producer)
                self._report(f"Kafka at {servers} cannot be used: {explain(error)}")
                await asyncio.sleep(wait)
            else:
                log.info("connected to Kafka at %s for %s", servers, self._topic)
                return ConnectedProducer(producer, self._topic, await self._partitions(producer), limit)
        raise AssertionError("backoff ends never")

    def _producer(self, arguments: dict[str, Any]) -> AIOKafkaProducer:
        compression = self._settings.compression
        return AIOKafkaProducer(
            **arguments,
            client_id="im-bridge",
            enable_idempotence=True,
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=self._settings.max_record_bytes,
            request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            compression_type=None if compression == "none" else compression,
        )

    async def _ensure_topic(self, arguments: dict[str, Any]) -> None:
        ours = [topic for topic in self._settings.topics if topic.name == self._topic]
        try:
            await ensure_topics(arguments, ours)
        except TopicsMissingError as error:
            self._report(str(error))

    async def _partitions(self, producer: AIOKafkaProducer) -> int:
        for wait in backoff(first=0.5):
            try:
                return len(await producer.partitions_for(self._topic))
            except KafkaError as error:
                self._report(f"the topic {self._topic} cannot be used: {explain(error)}")
                await asyncio.sleep(wait)
        raise AssertionError("backoff ends never")

    def _report(self, problem: str) -> None:
        """Log a problem, but not each time that it is met again."""
        if self._throttle.admits(problem):
            log.warning("%s (trying for ever)", problem)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer without its flush, which would wait for the broker for ever: what it held is in the journal."""
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    producer._closed = True
    with contextlib.suppress(KafkaError, TimeoutError, OSError):
        await asyncio.wait_for(producer.client.close(), ABANDON_TIMEOUT_S)
