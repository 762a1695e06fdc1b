"""Tries a worker out without Kafka: what does it do with these events?

    from consumers.testing import WorkerHarness, event
    from consumers.worker import Worker

    class Notify(Worker):
        name = "notify"
        event_types = frozenset({"im.c2c.message.recalled"})

        def __init__(self):
            self.told = []

        async def handle(self, batch):
            self.told += [(message.event.subject, message.event.data.unread_total) for message in batch]

    async def test_the_receiver_of_a_recalled_message_is_told():
        async with WorkerHarness(Notify()) as harness:
            await harness.feed(
                event("im.c2c.message.recalled", "ann", to_account="ann", unread_total=3),
                event("im.group.created", "a group"),
            )
        assert harness.worker.told == [("ann", 3)]
        assert not harness.poison

For a worker on `im.badges`, such as examples/push_worker.py, `badge` makes what it is fed.

The worker is started, fed and stopped as the runtime does it: what it does not want is skipped, a batch that it fails
on comes again in halves, an event that it cannot handle ends in `poison`, RetryLater and its like make the batch come
again. Only Kafka is missing: what the worker publishes ends in `published`, and nothing has to be waited for.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

import orjson
from aiokafka import ConsumerRecord, TopicPartition

from bridge.events.base import SCHEMA_BASE
from common.timestamps import rfc3339, unix_ms
from consumers.errors import describe
from consumers.metrics import DeadLetterReason, Metrics
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.delivery import Delivery, StoppedError
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context, OutgoingRecord

M = TypeVar("M")


class Poison(NamedTuple):
    """What would have become a dead letter."""

    record: ConsumerRecord
    reason: DeadLetterReason
    detail: str
    """The error in one line."""


class WorkerHarness(Generic[M]):
    """A worker at work; used as `async with`.

    Args:
        worker: as the runtime makes it.
        tries: how often a batch is given to the worker while something is away, until `feed` gives up.
        settings: `ConsumersSettings` by field name, e.g. `redis_url="redis://localhost:6380/0"`.
    """

    def __init__(self, worker: BaseWorker[M], *, tries: int = 3, **settings: Any) -> None:
        self.worker = worker
        self.handled: list[M] = []
        """Every message of every batch that `handle` returned from, in order."""
        self.poison: list[Poison] = []
        self.published: dict[str, list[OutgoingRecord]] = {}
        """Topic → what the worker wrote to it."""
        self.retried = 0
        """How often a batch came again since something was away."""
        self.waiting: str | None = None
        """What the last `feed` gave up waiting for; None where it went through."""
        self.metrics = Metrics(worker.name)
        self._tries = tries
        self._settings = ConsumersSettings.model_validate(settings)
        self._offset = 0

    async def __aenter__(self) -> Self:
        await self.worker.start(Context(self._settings, _Producer(self), self.metrics))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.worker.stop()

    async def feed(self, *values: Mapping[str, Any] | bytes | ConsumerRecord | None) -> None:
        """Give the worker one batch: events (see `event`), badges, values as they are, None (a tombstone), records."""
        records = [self._record(value) for value in values]
        stopping = asyncio.Event()
        waiting = _Waiting(self, stopping)
        delivery = Delivery(
            _Observed(self),
            _Letters(self),
            self.metrics,
            waiting,
            max_attempts=self._settings.poison_attempts,
            timeout_s=self._settings.handle_timeout_s,
            impatient=True,
        )
        self.waiting = None
        try:
            await delivery.deliver(TopicPartition(self.worker.topic(self._settings), 0), records, stopping)
        except StoppedError:
            self.waiting = waiting.last
        else:
            self.waiting = None

    def _record(self, value: Mapping[str, Any] | bytes | ConsumerRecord | None) -> ConsumerRecord:
        if isinstance(value, ConsumerRecord):
            return value
        key = _key(value) if isinstance(value, Mapping) else None
        raw = orjson.dumps(dict(value)) if isinstance(value, Mapping) else value
        self._offset += 1
        now_ms = int(time.time() * 1000)
        topic = self.worker.topic(self._settings)
        return ConsumerRecord(topic, 0, self._offset - 1, now_ms, 0, key, raw, None, 0, 0, ())


Trial = WorkerHarness
"""Its former name, for tests that use it."""


def event(
    event_type: str,
    subject: str,
    *,
    event_id: str | None = None,
    app_id: str = "1400000000",
    time: datetime | None = None,
    received: datetime | None = None,
    **data: Any,
) -> dict[str, Any]:
    """An event as it stands on the topic.

    Args:
        event_type: e.g. `im.c2c.message.recalled`.
        subject: account or group; the key.
        event_id: equal for deliveries of one callback; a new one if not given.
        app_id: SdkAppid.
        time: when it happened; the time of receipt if not given.
        received: when the bridge received it; now if not given.
        data: fields of `data`.
    """
    receipt = received or datetime.now(UTC)
    return {
        "specversion": "1.0",
        "id": event_id or uuid.uuid4().hex,
        "source": f"/tencent-im/{app_id}",
        "type": event_type,
        "subject": subject,
        "time": rfc3339(unix_ms(time or receipt)),
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA_BASE}{event_type}.json",
        "callbackcommand": "Test",
        "receivedtime": rfc3339(unix_ms(receipt)),
        "data": data,
    }


def badge(
    account: str, unread: int | None, *, app_id: str = "1400000000", stale: bool = False, event_id: str | None = None
) -> dict[str, Any]:
    """A badge as it stands on the topic `im.badges`.

    Args:
        account: whose; the key is `{app_id}:{account}`.
        unread: the count; None: none is known.
        app_id: SdkAppid.
        stale: whether it has changed since, and no event said to what.
        event_id: event that said so; a new one if not given.
    """
    known = unread is not None
    return {
        "app_id": app_id,
        "account": account,
        "unread": unread,
        "time": rfc3339(unix_ms(datetime.now(UTC))) if known else None,
        "event_id": (event_id or uuid.uuid4().hex) if known else None,
        "stale": stale or not known,
    }


def _key(value: Mapping[str, Any]) -> bytes | None:
    if "subject" in value:
        return str(value["subject"]).encode()
    return f"{value['app_id']}:{value['account']}".encode() if {"app_id", "account"} <= value.keys() else None


class _Observed(BaseWorker[M]):
    def __init__(self, harness: WorkerHarness[M]) -> None:
        self._harness = harness

    def read(self, record: ConsumerRecord) -> M | None:
        return self._harness.worker.read(record)

    def read_batch(self, records: Sequence[ConsumerRecord]) -> Sequence[M | None] | None:
        return self._harness.worker.read_batch(records)

    async def handle(self, batch: Sequence[M]) -> None:
        await self._harness.worker.handle(batch)
        self._harness.handled += batch


class _Letters(DeadLetters):
    def __init__(self, harness: WorkerHarness[Any]) -> None:
        self._harness = harness

    async def publish(
        self,
        source: ConsumerRecord,
        error: Exception,
        reason: DeadLetterReason,
        attempts: int,  # noqa: ARG002 - as the real one
    ) -> None:
        self._harness.poison.append(Poison(source, reason, describe(error)))


class _Producer:
    def __init__(self, harness: WorkerHarness[Any]) -> None:
        self._harness = harness

    async def publish(self, topic: str, records: Iterable[OutgoingRecord]) -> None:
        self._harness.published.setdefault(topic, []).extend(records)


class _Waiting(WaitStatus):
    def __init__(self, harness: WorkerHarness[Any], stopping: asyncio.Event) -> None:
        super().__init__(lambda _: None)
        self._harness = harness
        self._stopping = stopping
        self._left = harness._tries  # noqa: SLF001 - of this module
        self.last: str | None = None

    def begin(self, work: object, reason: str) -> None:  # noqa: ARG002 - as the real one
        self.last = reason
        self._harness.retried += 1
        self._left -= 1
        if self._left <= 0:
            self._stopping.set()
