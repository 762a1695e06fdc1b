"""Runs a worker: starts it, keeps it supplied with events, stops it in time."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NoReturn

from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from common.admin import Readiness
from common.kafka.groups import has_committed
from common.kafka.topics import TopicsMissingError, ensure_topics
from common.logs import fields
from common.retry import Backoff, retry
from common.settings import check_topic
from common.topic import Topic
from common.tracing.start import start_tracer
from common.tracing.tracer import Tracer
from consumers.errors import WorkerRefusedError, describe, describe_with_place, failure_of, is_passing
from consumers.metrics import Metrics
from consumers.runtime.dead_letter_breaker import DeadLetterBreaker
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.delivery import Delivery
from consumers.runtime.process import run_process
from consumers.runtime.process_spans import ProcessSpans
from consumers.runtime.producer import Producer
from consumers.runtime.session import Session, SessionLostError
from consumers.runtime.status import ServerStatus, WaitStatus
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context, no_span

log = logging.getLogger(__name__)

_CLOSING_S = 4.0
"""What of a graceful shutdown is kept for leaving the group and closing connections, once the batches have ended."""
_LEAST_FOR_BATCHES_S = 0.5
_BROKEN_CLOSE_TIMEOUT_S = 1.0
"""For the batches of a consumer that cannot go on: what they have done is committed no more."""
_TRACES_S = 0.9
"""At a stop, how long the collector of traces may take for the last spans."""
_TOPICS_TIMEOUT_S = 20.0
_MAX_WAIT_S = 2.0
"""Between attempts to connect: so long may Kafka be there again and nobody notice."""
_PROBE_EVERY_S = 3.0
_PROBE_TIMEOUT_S = 30.0


class Runtime:
    """One worker in this process, until SIGTERM or SIGINT.

    Args:
        worker: what it does.
        settings: connection, group, limits.

    Raises:
        OSError: a certificate of the connection to Kafka cannot be read.
        WorkerRefusedError: the topics of the worker are none.
    """

    def __init__(self, worker: BaseWorker[Any], settings: ConsumersSettings) -> None:
        self._worker = worker
        self._settings = settings
        self._group = settings.group or worker.name
        settings.kafka_client()  # Made anew for each client; here to fail at once where it cannot be.
        self._producer = Producer(settings.kafka_client)
        self._metrics = Metrics(worker.name)
        self._kafka = ServerStatus(
            f"Kafka at {settings.kafka_bootstrap_servers}", lambda up: self._metrics.set_connected("kafka", up)
        )
        self._waiting = WaitStatus(self._metrics.waiting.set)
        self._breaker = DeadLetterBreaker(
            limit=settings.breaker_dead_letters,
            window_s=settings.breaker_window_s,
            on_change=self._metrics.breaker_open.set,
        )
        self._topic = _checked_topic(worker, settings)
        self._tracer: Tracer | None = None
        self._started = False
        self._session: Session | None = None
        self._metrics.ready.set_function(lambda: float(self._readiness().ready))
        self._metrics.set_connected("kafka", False)
        self._metrics.oldest.set_function(lambda: self._session.oldest_seconds() if self._session else 0.0)

    async def run(self) -> None:
        """Work until a signal asks to stop; then stop within CONSUMERS_STOP_TIMEOUT_S.

        Raises:
            WorkerRefusedError: the worker can never run as it is set up.
            OSError: the admin port is taken.
        """
        self._tracer = start_tracer(f"im-bridge-{self._worker.name}")
        await run_process(
            self._settings,
            self._work(),
            readiness=self._readiness,
            metrics=self._metrics,
            stops=(self._worker.stop, self._producer.stop, self._stop_tracer),
        )

    async def _stop_tracer(self) -> None:
        if self._tracer is not None:
            await self._tracer.stop(_TRACES_S)

    def _readiness(self) -> Readiness:
        joined = self._session is not None and self._session.joined
        detail: dict[str, str] = {
            **self._remarks(),
            "worker": "started" if self._started else "starting",
            "kafka": "connected" if self._kafka.up else "away",
            "group": "joined" if joined else "joining",
        }
        if self._waiting.reason is not None:
            detail["waiting"] = self._waiting.reason
        if self._breaker.is_open:
            detail["breaker"] = "open: the worker fails on every event"
        is_ready = self._started and joined and self._kafka.up and self._waiting.reason is None
        return Readiness(is_ready, detail)

    def _remarks(self) -> dict[str, str]:
        try:
            return {str(name): str(remark) for name, remark in self._worker.remarks().items()}
        except Exception as error:  # noqa: BLE001 - a worker may raise anything
            return {"remarks": describe_with_place(error)}

    async def _work(self) -> NoReturn:
        spans = None
        if self._tracer is not None:
            spans = ProcessSpans(self._tracer, worker=self._worker.name, group=self._group)
        context = Context(
            self._settings,
            self._producer,
            self._metrics,
            resumes=self._resumes,
            span_context=spans.context if spans is not None else no_span,
            tracer=self._tracer,
        )
        await self._start_worker(context)
        dead_letters = DeadLetters(self._producer, self._metrics, topic=self._settings.dlq_topic, group=self._group)
        delivery = Delivery(
            self._worker,
            dead_letters,
            self._metrics,
            self._waiting,
            max_attempts=self._settings.poison_attempts,
            timeout_s=self._settings.handle_timeout_s,
            breaker=self._breaker,
            spans=spans,
        )
        await self._make_topics()
        probing = asyncio.create_task(self._probe())
        waits = Backoff(max_s=_MAX_WAIT_S)
        try:
            while True:
                if await self._one_session(delivery):
                    waits.reset()
                await asyncio.sleep(next(waits))
        finally:
            probing.cancel()

    async def _probe(self) -> NoReturn:
        while True:
            await asyncio.sleep(_PROBE_EVERY_S)
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    await self._worker.probe()
            except BaseException as raised:  # noqa: BLE001 - a worker may raise anything
                error = failure_of(raised)
                if is_passing(error):
                    self._waiting.begin("probe", describe(error))
                else:
                    log.debug("the probe of the worker failed: %s", describe(error))
            else:
                self._waiting.end("probe")

    async def _start_worker(self, context: Context) -> None:
        async def start() -> None:
            try:
                async with asyncio.timeout(self._settings.handle_timeout_s):
                    await self._worker.start(context)
            except BaseException as raised:
                error = failure_of(raised)
                if is_passing(error) or isinstance(error, WorkerRefusedError):
                    raise
                log.debug("the worker does not start", exc_info=error)
                told = describe_with_place(error)
                raise WorkerRefusedError(f"the worker {self._worker.name} cannot start: {told}") from error

        def report(error: Exception) -> None:
            if isinstance(error, KafkaError):
                self._kafka.lost(describe(error))
            else:
                self._waiting.begin("start", describe(error))

        await retry(start, on=is_passing, report=report)
        self._waiting.end("start")
        self._started = True

    async def _resumes(self) -> bool:
        return await has_committed(self._settings.kafka_client(), self._group, self._topic)

    async def _make_topics(self) -> None:
        topics = [*self._worker.topics(self._settings), self._settings.dead_letters]

        async def make() -> None:
            async with asyncio.timeout(_TOPICS_TIMEOUT_S):
                await ensure_topics(self._settings.kafka_client(), topics)

        def report(error: Exception) -> None:
            if isinstance(error, TopicsMissingError):
                self._waiting.begin("topics", str(error))
            else:
                self._kafka.lost(describe(error))

        await retry(make, on=(TopicsMissingError, KafkaError, OSError, TimeoutError), report=report, max_s=_MAX_WAIT_S)
        self._waiting.end("topics")

    async def _one_session(self, delivery: Delivery[Any]) -> bool:
        """Consume until the consumer cannot go on; whether it had joined the group."""
        try:
            session = self._session = self._new_session(delivery)
        except OSError as unreadable:  # a certificate
            self._session = None
            self._kafka.lost(describe(unreadable))
            return False
        run = asyncio.create_task(session.run())
        within_s = _BROKEN_CLOSE_TIMEOUT_S
        try:
            await asyncio.wait({run})
        except asyncio.CancelledError:
            within_s = max(_LEAST_FOR_BATCHES_S, self._settings.stop_timeout_s - _CLOSING_S)
            raise
        finally:
            run.cancel()
            await session.close(within_s=within_s)
        await self._producer.stop()  # what broke the consumer may have broken it too; it connects again when needed
        # A cancellation that is not ours comes from within the Kafka client: one more sign that it is broken.
        error = SessionLostError("it cancelled itself") if run.cancelled() else run.exception()
        if error is not None and isinstance(error.__cause__, WorkerRefusedError):
            raise error.__cause__
        if not isinstance(error, (KafkaError, OSError, SessionLostError)):
            raise error or AssertionError("a session ends with an error only")
        if session.joined:
            log.warning(
                "the Kafka consumer cannot go on (%s); it is replaced with a new one",
                self._explain(error),
                extra=fields("client_replaced", reason=self._explain(error)),
            )
        else:
            self._kafka.lost(self._explain(error))
        return session.joined

    def _new_session(self, delivery: Delivery[Any]) -> Session:
        return Session(
            self._settings,
            self._settings.kafka_client,
            topic=self._topic,
            group=self._group,
            max_events=min(self._settings.batch_max_events, self._worker.max_events),
            deliver=delivery.deliver,
            metrics=self._metrics,
            kafka=self._kafka,
        )

    def _explain(self, error: BaseException) -> str:
        cause = error.__cause__ if isinstance(error, SessionLostError) and error.__cause__ else error
        if isinstance(cause, UnknownTopicOrPartitionError):
            maker = "the bridge" if self._topic == self._settings.topic else "who writes to it"
            return f"the topic {self._topic} does not exist yet; {maker} makes it when it starts"
        instance = self._settings.group_instance_id
        if instance is not None and "UnknownError" in str(error):
            # The client has no name for the broker's answer to the second of two equal instances.
            return f"{describe(error)}; has another process the same CONSUMERS_GROUP_INSTANCE_ID, {instance}?"
        return describe(error)


def _checked_topic(worker: BaseWorker[Any], settings: ConsumersSettings) -> str:
    """The topic that a worker reads; what it and those that it writes to are made of is its own code."""
    try:
        read, written = worker.topic(settings), worker.topics(settings)
        if not isinstance(read, str):
            raise ValueError(f"{read!r:.60} is no name of a topic")  # noqa: TRY004
        if wrong := [one for one in written if not isinstance(one, Topic)]:
            raise ValueError(f"{wrong[0]!r:.60} is no common.topic.Topic")
        return check_topic(read)
    except BaseException as raised:  # noqa: BLE001 - a worker may raise anything
        error = failure_of(raised)
        raise WorkerRefusedError(f"the worker {worker.name} names no topics: {describe_with_place(error)}") from error
