"""What a worker is. Subclass `Worker`, then `consumers run your.module:YourWorker`.

    class Notify(Worker):
        name = "notify"
        event_types = frozenset({"im.c2c.message.recalled"})

        async def handle(self, batch: Sequence[Message]) -> None:
            for message in batch:
                await notify(message.event.subject)

Delivery is at least once: after a crash, a rebalance or a retry a worker sees events again, whole batches included,
with the same `event.id`. So `handle` must do no harm when it repeats.

A worker on a topic of plain records, such as `im.badges`, is a subclass of `RecordWorker`. One that wants to read
records in a way of its own is a subclass of `BaseWorker`. `consumers.testing` tries a worker out without any broker.
What a worker publishes with `context.producer` are `OutgoingRecord`s.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec
from aiokafka import ConsumerRecord

from bridge.events import Event, InvalidEventError, parse_event
from common.topic import Topic
from common.tracing.context import TraceContext, context_of
from common.tracing.tracer import AttributeValue, Span, SpanRole, Tracer
from consumers.event_type import leading_type
from consumers.metrics import Metrics
from consumers.settings import ConsumersSettings


class Message(msgspec.Struct, frozen=True, gc=False):
    """An event and the record that carried it."""

    event: Event
    topic: str
    partition: int
    offset: int
    timestamp: int
    """Of the record, Unix milliseconds: when the bridge received it."""
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]


class OutgoingRecord(msgspec.Struct, frozen=True, gc=False):
    """A record to write."""

    key: bytes
    value: bytes | None
    """None: a tombstone, which removes the key from a compacted topic."""
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    """None: that of its key."""

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key) + len(self.value or b"")


class RecordProducer(Protocol):
    """Writes records to Kafka. The runtime connects it and ends it."""

    async def publish(self, topic: str, records: Iterable[OutgoingRecord]) -> None:
        """Write records, those of a key in their order, and wait for their confirmation by all replicas in sync.

        After an error any of them may have been written; written again they come after those.

        Raises:
            RetryLater: Kafka is away, slow, or does not let us write yet.
            MessageSizeTooLargeError, RecordListTooLargeError: a record is larger than the topic takes.
        """


async def _never_resumes() -> bool:
    return False


def no_span(_topic: str, _partition: int, _offset: int) -> TraceContext | None:
    """Of no record the handling is a span."""
    return None


class Carrier(Protocol):
    """What carried something to a worker: a `Message`, a record, or what a worker's `read` makes of one."""

    @property
    def topic(self) -> str:
        """Of the record."""

    @property
    def partition(self) -> int:
        """Of the record."""

    @property
    def offset(self) -> int:
        """Of the record."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Of the record."""


@dataclass(frozen=True)
class Context:
    """What the runtime lends a worker."""

    settings: ConsumersSettings
    producer: RecordProducer
    metrics: Metrics
    alone: bool = True
    """Whether nobody else handles the same keys meanwhile. Not so where dead letters are replayed: the group's own
    processes are at work then."""
    resumes: Callable[[], Awaitable[bool]] = _never_resumes
    """Asks Kafka whether the group goes on from offsets that it has committed before, and does not begin now. Raises
    KafkaError while Kafka is away."""
    span_context: Callable[[str, int, int], TraceContext | None] = no_span
    """Topic, partition and offset of a record that is being handled → the context of the span of that."""
    tracer: Tracer | None = None
    """What makes spans of what is done because of a record; None: nobody wants any."""

    def trace_headers(self, carrier: Carrier) -> dict[str, str]:
        """Headers for an HTTP request that is sent because of a record, so that it belongs to the record's trace.

        `traceparent`, and `tracestate` where there is one; none where the record belongs to no trace.
        """
        context = self._trace_of(carrier)
        return {} if context is None else context.http_headers

    def record_headers(self, carrier: Carrier) -> list[tuple[str, bytes]]:
        """The same for a record that is written because of another one."""
        return [(name, value.encode()) for name, value in self.trace_headers(carrier).items()]

    def begin_question(self, name: str, carrier: Carrier, **attributes: AttributeValue) -> Span | None:
        """A span of asking somebody else because of a record, to be ended by the caller; None: it is not traced here.

        Args:
            name: what is done, of few values.
            carrier: what carried the record, which is being handled.
            attributes: as of `Span.note`.
        """
        parent = self.span_context(carrier.topic, carrier.partition, carrier.offset)
        if parent is None or self.tracer is None:
            return None
        return self.tracer.begin(name, SpanRole.ASKS, parent, began_ns=None, **attributes)

    def _trace_of(self, carrier: Carrier) -> TraceContext | None:
        return self.span_context(carrier.topic, carrier.partition, carrier.offset) or context_of(carrier.headers)


M = TypeVar("M")


class BaseWorker(ABC, Generic[M]):
    """Base of all workers; made without arguments. One instance serves all partitions of a process.

    `M` is what `read` makes of a record and `handle` is given.
    """

    name: ClassVar[str]
    """Also the consumer group, unless CONSUMERS_GROUP is set."""

    max_events: ClassVar[int] = sys.maxsize
    """At most so many events are given to it at a time, if CONSUMERS_BATCH_MAX_EVENTS is not less. What a batch has
    done is committed at its end only, so a worker that is slow at each event wants small ones."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Take `most_events` for `max_events`: its former name, which workers may still set."""
        super().__init_subclass__(**arguments)
        if "most_events" in vars(cls) and "max_events" not in vars(cls):
            cls.max_events = vars(cls)["most_events"]

    def topic(self, settings: ConsumersSettings) -> str:
        """The topic that it reads: that of the events, unless a subclass says otherwise."""
        return settings.topic

    def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:  # noqa: ARG002 - for subclasses
        """The topics that it writes to: created, where the broker lets us, before `start`."""
        return ()

    @abstractmethod
    def read(self, record: ConsumerRecord) -> M | None:
        """What the record carries, None if it is of no concern.

        Raises:
            any Exception: it cannot be read. It becomes a dead letter at once.
        """

    def read_batch(self, records: Sequence[ConsumerRecord]) -> Sequence[M | None] | None:  # noqa: ARG002 - for subclasses
        """What `read` gives for each of many records, where that costs less than to read each by itself.

        Returns:
            one for each record; None: `read` is to be called for each. It is also where this raises anything, since
            only `read` can tell which record is at fault.
        """
        return None

    async def start(self, context: Context) -> None:
        """Connect. No partition is taken before it returns.

        Raises:
            RetryLater, ConnectionError, TimeoutError, …: called again, for ever.
            WorkerRefusedError: the process ends with its message.
        """

    @abstractmethod
    async def handle(self, batch: Sequence[M]) -> None:
        """Do the work for some records of one partition, in their order. When it returns their offsets are committed.

        Batches of different partitions run side by side; those of one partition never do.

        Raises:
            RetryLater, ConnectionError, TimeoutError, errors of Kafka and of Redis's connection: the batch comes again,
                for ever, while its partition waits.
            PoisonError: the worker knows which of the batch is at fault, and has handled those before it: that one is a
                dead letter, and those behind it come again.
            any other Exception: the batch comes again in halves, until the one event that it fails on is found; that
                is tried CONSUMERS_POISON_ATTEMPTS times, and is then a dead letter.
        """

    async def probe(self) -> None:
        """See that what it needs is there; called every few seconds, also while there is nothing to do.

        It notes the outcome with `Metrics.set_connected`.

        Raises:
            RetryLater, ConnectionError, …: it is not there; the process waits for it, and is not ready meanwhile. Any
                other error has no effect.
        """

    def remarks(self) -> Mapping[str, str]:
        """What `/readyz` says of it beside its state: a name and a sentence for each thing an operator must know."""
        return {}

    async def stop(self) -> None:
        """Disconnect; bounded by the runtime to one second."""


class Worker(BaseWorker[Message]):
    """Base of workers on events."""

    event_types: ClassVar[frozenset[str] | None] = None
    """The types that it wants, None for all. The others are skipped before they are parsed."""

    def read(self, record: ConsumerRecord) -> Message | None:
        """The message that a record carries, None if its event is of no type in `event_types`.

        Raises:
            InvalidEventError: it carries no event.
        """
        return read_event(record, self.event_types)


class RecordWorker(BaseWorker[ConsumerRecord]):
    """Base of workers on plain records: `handle` is given them as aiokafka has them, tombstones included."""

    def read(self, record: ConsumerRecord) -> ConsumerRecord | None:
        """The record itself."""
        return record


class _Type(msgspec.Struct):
    type: str


_decode_type = msgspec.json.Decoder(_Type).decode


def read_event(record: ConsumerRecord, wanted: frozenset[str] | None) -> Message | None:
    """The message that a record carries, None if its event is not of the types `wanted` (None: of all).

    Raises:
        InvalidEventError: it carries no event.
    """
    value: bytes | None = record.value
    if value is None:
        raise InvalidEventError("the record has no value")
    if wanted is not None and _type_of(value) not in wanted:
        return None
    return Message(
        parse_event(value),
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        value,
        record.headers,
    )


def _type_of(value: bytes) -> str:
    if (kind := leading_type(value)) is not None:
        return kind
    try:
        return _decode_type(value).type
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError(f"no event of this contract: {error}") from error


__all__ = [
    "BaseWorker",
    "Context",
    "Message",
    "OutgoingRecord",
    "RecordProducer",
    "RecordWorker",
    "Worker",
    "read_event",
]
