"""Publishes one topic, on one producer after the other, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time

from aiokafka.errors import KafkaError

from bridge import metrics
from bridge.journal.groups import PendingRecord
from bridge.journal.topic_queue import TopicQueue
from bridge.publish.pacing import Arrivals, Pace, RoundSize
from bridge.publish.producer_session import (
    REQUEST_TIMEOUT_S,
    ConnectedProducer,
    ProducerLostError,
    ProducerSession,
    Survivors,
)
from bridge.publish.publish_spans import PublishSpans
from bridge.publish.quarantine import Quarantine
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.source import Source
from bridge.publish.window import Window
from bridge.settings import BridgeSettings
from common.kafka.clients import ClientArguments
from common.kafka.diagnosis import explain
from common.kafka.idempotent_client import IdempotentClient
from common.kafka.topics import TopicsMissingError, ensure_topics, max_message_bytes
from common.logs import Throttle, fields
from common.retry import Backoff, retry

log = logging.getLogger(__name__)

PARTITIONS_TIMEOUT_S = 1.5 * REQUEST_TIMEOUT_S
"""It is asked for a topic that does not exist until the request's time is over."""
STABLE_AFTER_S = 20.0
GREETING_S = 1.0
"""So long it is waited for connections to all leaders; some may be away."""
LIMIT_INTERVAL_S = 60.0
LIMIT_FRESH_S = 5.0
"""So long what the broker said of its largest record is taken to be so, also for one that is too large by it."""
LIMIT_TIMEOUT_S = 2.0
BATCH_OVERHEAD_BYTES = 512
"""What a batch of one record takes beside its key, value and headers, at most."""


class TopicUnusableError(Exception):
    """Kafka answers, and the topic is not there or not ours to use. The message says which, and why."""


class TopicPublisher:
    """What survives a producer: the window, the pace, the search for a record that the broker refuses.

    Its fields are many because all of that outlives a producer, and because what is told of the topic does too.

    Args:
        queue: what is published.
        source: the journal that has the queue.
        quarantine: where records go that the broker refuses for good.
        settings: connection, topics, compression.
        arrivals: of callbacks, shared by all topics.
        throttle: shared by all topics, so that a problem of theirs is logged once.
        spans: of traced records; None: there are none.
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
        spans: PublishSpans | None = None,
    ) -> None:
        self._no_producer = ""
        """Why there is none, in words; empty while there is one."""
        self._topic = queue.topic
        self._source = source
        self._quarantine = quarantine
        self._settings = settings
        self._throttle = throttle
        self._window = Window(queue, source, spans)
        self._rejection_search = RejectionSearch()
        self._survivors = Survivors(self._window, Pace(arrivals), RoundSize(), self._rejection_search)
        self._session: ProducerSession | None = None
        self._tried = asyncio.Event()
        """There is a producer, or the first attempt to connect one has failed."""
        self._max_message_bytes: int | None = None
        self._limit_asked_at = 0.0
        """By the event loop's clock."""
        self._set_aside: set[asyncio.Task[None]] = set()
        """For each record that the disk did not take: it is tried again."""
        self._published = metrics.PUBLISHED.labels(self._topic)
        metrics.QUARANTINED.labels(self._topic)  # At 0 from the start.

    def wake(self) -> None:
        """Something can be leased from the queue."""
        if self._session is not None:
            self._session.wake()

    async def settle(self) -> None:
        """Wait for the first producer, or for the first attempt to connect one to fail."""
        await self._tried.wait()

    @property
    def is_connected(self) -> bool:
        """Whether there is a producer that knows the topic."""
        return self._session is not None

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record was received that was leased and is not confirmed, Unix ms; None: there is none."""
        return self._window.oldest_ms

    @property
    def confirms(self) -> bool:
        """Whether Kafka is confirming records at present, as far as can be known."""
        return self._session is not None and self._session.confirms

    @property
    def problem(self) -> str:
        """Why Kafka does not confirm, for people; empty while it does, or nothing is known."""
        return self._no_producer if self._session is None else self._session.problem

    @property
    def unconfirmed_s(self) -> float:
        """How long Kafka has owed an answer; 0: it owes none."""
        since = self._window.owed_since if self._session is None else self._session.unconfirmed_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def max_record_bytes(self) -> int | None:
        """The largest record that the topic takes, as the broker said when it was asked last; None: it did not."""
        return None if self._max_message_bytes is None else max(0, self._max_message_bytes - BATCH_OVERHEAD_BYTES)

    async def run(self) -> None:
        """Publish for ever."""
        try:
            await self._run()
        finally:
            for task in self._set_aside:
                task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        waits = Backoff()
        while True:
            started = loop.time()
            try:
                # A task for each: one in which a task group broke off counts as cancelled, and no time limit works.
                await loop.create_task(self._use_one_producer())
            except* ProducerLostError as lost:
                self._no_producer = f"{lost.exceptions[0]}"
                self._report(f"connecting anew for {self._topic}: {self._no_producer}")
            except* Exception:
                # Whatever it is, what is in the journal must reach Kafka.
                log.exception("publishing to %s failed; starting anew", self._topic)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # It came when the producer was lost just now.
            metrics.PRODUCER_REPLACED.inc()
            if self._rejection_search.pop_has_narrowed() or loop.time() - started > STABLE_AFTER_S:
                waits.reset()
            await asyncio.sleep(next(waits))

    async def _use_one_producer(self) -> None:
        """Connect, and publish until the producer is lost."""
        if (rejected := self._rejection_search.found) is not None:
            await self._put_in_quarantine(rejected.pending, rejected.reason)
            self._rejection_search.forget_found()
        connected = await self._connect()
        # What the producer before held lies in cycles, megabytes of it, and so do those that could not connect. Not as
        # soon as it is lost: the event loop still has the task at hand that was, and that knows where.
        gc.collect()
        self._no_producer = ""
        self._max_message_bytes = connected.max_message_bytes
        self._limit_asked_at = asyncio.get_running_loop().time()
        watching = asyncio.get_running_loop().create_task(self._watch_limit())
        try:
            self._session = ProducerSession(
                connected,
                self._survivors,
                keep_too_large=self._keep_too_large,
                disk_ok=lambda: self._source.disk_ok,
                stall_s=self._settings.kafka_stall_s,
                on_published=self._count_published,
            )
            self._tried.set()
            await self._session.run()
        finally:
            self._session = None
            watching.cancel()
            await connected.client.abandon()

    def _count_published(self, records: int) -> None:
        self._published.inc(records)

    async def _watch_limit(self) -> None:
        """Know the largest record of the topic, also when somebody changes it."""
        while True:
            await asyncio.sleep(LIMIT_INTERVAL_S)
            await self._ask_limit()

    async def _ask_limit(self) -> None:
        """Ask the broker for the largest record of the topic, unless that was done a moment ago."""
        now = asyncio.get_running_loop().time()
        if now - self._limit_asked_at < LIMIT_FRESH_S:
            return
        self._limit_asked_at = now
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(LIMIT_TIMEOUT_S):
                limit = await max_message_bytes(self._settings.kafka_client(), self._topic)
            self._max_message_bytes = limit
            if self._session is not None:
                self._session.limit_changed(limit)

    async def _keep_too_large(self, pending: PendingRecord, size: int) -> bool:
        """Put a record into quarantine that the topic does not take, and give True; False where it does by now."""
        await self._ask_limit()  # Whoever has raised it should not find records in quarantine afterwards.
        limit = self._max_message_bytes
        if limit is None or size <= limit:
            return False
        await self._put_in_quarantine(pending, f"{size} bytes, of which the topic takes {limit}")
        return True

    async def _put_in_quarantine(self, pending: PendingRecord, reason: str) -> None:
        """Keep a record that Kafka refuses for good, announce it, and let those behind it pass.

        Where nobody was told that it is durable, and there is no room for it at all, nobody will be. Where the disk
        does not take it now, it is tried again, and passed over meanwhile.
        """
        if not self._source.budget.has_room and not pending.group.is_acknowledged:
            self._report(f"a record that Kafka refuses for good ({reason}) is refused: quarantine and journal are full")
            pending.resolve(False)
            self._source.set_aside(pending, kept=False)
            self._window.confirm([pending], refused=True)
            return
        try:
            await self._keep(pending, reason)
        except OSError as error:
            self._report_not_kept(error)
            pending.is_passed_over = True
            pending.group.is_whole = False
            task = asyncio.get_running_loop().create_task(self._keep_in_the_end(pending, reason))
            self._set_aside.add(task)
            task.add_done_callback(self._set_aside.discard)

    async def _keep_in_the_end(self, pending: PendingRecord, reason: str) -> None:
        await retry(lambda: self._keep(pending, reason), on=OSError, report=self._report_not_kept, first_s=1.0)

    async def _keep(self, pending: PendingRecord, reason: str) -> None:
        announcement = await self._source.on_disk(lambda: self._quarantine.keep(pending.record, reason))
        self._quarantine.warn_if_full()
        self._source.budget.elsewhere_bytes = self._quarantine.excess_bytes
        if self._topic != self._settings.dlq_topic:
            self._source.append(announcement, forced=True)
        metrics.QUARANTINED.labels(self._topic).inc()
        self._source.set_aside(pending, kept=True)
        self._window.confirm([pending], refused=True)

    def _report_not_kept(self, error: Exception) -> None:
        self._report(f"a record that Kafka refuses for good cannot be put into quarantine ({error}): it is passed over")

    # -- Connecting ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> ConnectedProducer:
        """A producer that has reached a broker and knows the topic, tried for until there is one."""
        servers = self._settings.kafka_bootstrap_servers

        def report(error: Exception) -> None:
            self._tried.set()
            is_told = isinstance(error, TopicUnusableError)
            self._no_producer = str(error) if is_told else f"Kafka at {servers} cannot be used: {explain(error)}"
            self._report(self._no_producer)

        connected = await retry(
            self._start_producer, on=(KafkaError, OSError, TimeoutError, ValueError, TopicUnusableError), report=report
        )
        log.info(
            "connected to Kafka at %s for %s",
            servers,
            self._topic,
            extra=fields("connected", server=servers, topic=self._topic),
        )
        return connected

    async def _start_producer(self) -> ConnectedProducer:
        arguments = self._settings.kafka_client()
        client = IdempotentClient(arguments, self._topic, client_id="im-bridge", request_timeout_s=REQUEST_TIMEOUT_S)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await client.start()
                await self._ensure_topic(arguments)
                limit = await max_message_bytes(arguments, self._topic)
            partitions = await self._partitions(client)
            await client.greet_leaders(within_s=GREETING_S)
        except BaseException:
            await client.abandon()
            raise
        return ConnectedProducer(client, self._topic, partitions, limit, self._settings.compression)

    async def _partitions(self, client: IdempotentClient) -> int:
        try:
            async with asyncio.timeout(PARTITIONS_TIMEOUT_S):
                return await client.partitions()
        except (KafkaError, TimeoutError) as error:
            raise TopicUnusableError(f"the topic {self._topic} cannot be used: {explain(error)}") from error

    async def _ensure_topic(self, arguments: ClientArguments) -> None:
        ours = [topic for topic in self._settings.topics if topic.name == self._topic]
        try:
            await ensure_topics(arguments, ours)
        except TopicsMissingError as error:
            self._report(str(error))

    def _report(self, problem: str) -> None:
        """Log a problem, but not each time that it is met again."""
        if self._throttle.admits(problem):
            log.warning(
                "%s; it is tried again", problem, extra=fields("connection_lost", topic=self._topic, reason=problem)
            )
