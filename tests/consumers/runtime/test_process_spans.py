"""The spans of traced events in a worker: one for each, whatever becomes of the batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord, TopicPartition

from common.tracing.context import TraceContext, new_context
from consumers.errors import RetryLater
from consumers.metrics import Metrics
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.delivery import Delivery, StoppedError
from consumers.runtime.process_spans import ProcessSpans
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings
from consumers.worker import Context, Message, OutgoingRecord, Worker
from tests.support.badge_model import badge_event
from tests.support.spans import MemoryTracer

PARTITION = TopicPartition("im.events", 3)


class Nowhere:
    """Takes records and forgets them."""

    async def publish(self, topic: str, records: Sequence[OutgoingRecord]) -> None:
        """Forget them."""


class TracedWorker(Worker):
    """Fails where it is told to."""

    name = "faulty"
    event_types = frozenset({"im.c2c.message.recalled"})

    def __init__(self, fault: Callable[[Message], Exception | None] = lambda _: None) -> None:
        self.fault = fault
        self.told: list[dict[str, str]] = []
        self.context: Context | None = None

    async def handle(self, batch: Sequence[Message]) -> None:
        for message in batch:
            if self.context is not None:
                self.told.append(self.context.trace_headers(message))
            if (error := self.fault(message)) is not None:
                raise error


def record(offset: int, context: TraceContext | None, value: bytes | None = None) -> ConsumerRecord[Any, Any]:
    if value is None:
        value = orjson.dumps(badge_event(str(offset), "ann", 1))
    headers = (("content-type", b"x"), *(context.record_headers if context else ()))
    return ConsumerRecord("im.events", 3, offset, 1_700_000_000_000, 0, b"ann", value, None, 0, 0, headers)


async def deliver(worker: TracedWorker, *records: ConsumerRecord[Any, Any], stops: bool = False) -> MemoryTracer:
    tracer, metrics = MemoryTracer(), Metrics("test")
    spans = ProcessSpans(tracer, worker=worker.name, group="testers")
    worker.context = Context(ConsumersSettings.model_validate({}), Nowhere(), metrics, span_context=spans.context)  # type: ignore[arg-type]
    letters = DeadLetters(Nowhere(), metrics, topic="dlq", group="testers")  # type: ignore[arg-type]
    stopping = asyncio.Event()
    if stops:
        stopping.set()
    waiting = WaitStatus(metrics.waiting.set)
    delivery = Delivery(worker, letters, metrics, waiting, max_attempts=2, timeout_s=5, spans=spans, impatient=True)
    await delivery.deliver(PARTITION, records, stopping)
    return tracer


async def test_each_sampled_event_has_a_span_that_continues_its_trace_and_no_other_has() -> None:
    first, second = new_context(), new_context()
    not_sampled = TraceContext(first.traceparent[:-1] + "0")
    skipped = record(4, new_context(), orjson.dumps(badge_event("x", "ann", 1) | {"type": "im.group.created"}))
    worker = TracedWorker()
    records = record(0, first), record(1, None), record(2, not_sampled), record(3, second), skipped
    tracer = await deliver(worker, *records)
    assert [span.name for span in tracer.spans] == ["process im.events"] * 2
    assert [f"{span.parent.span_id:016x}" for span in tracer.spans if span.parent] == [first.span_id, second.span_id]
    attributes = dict(tracer.spans[1].attributes or {})
    assert attributes["messaging.kafka.offset"] == 3
    assert attributes["messaging.destination.partition.id"] == "3"
    assert attributes["messaging.consumer.group.name"] == "testers"
    assert attributes["messaging.batch.message_count"] == 4
    assert all(span.status.is_unset for span in tracer.spans)
    # What the worker asks others for belongs to the span, or to what came.
    own = [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01" for span in tracer.spans]
    assert worker.told == [
        {"traceparent": own[0]},
        {},
        {"traceparent": not_sampled.traceparent},
        {"traceparent": own[1]},
    ]


async def test_a_dead_letter_is_a_failed_span_and_those_around_it_are_not() -> None:
    worker = TracedWorker(lambda message: ValueError("bad letter") if message.event.id == "1" else None)
    tracer = await deliver(worker, *(record(offset, new_context()) for offset in range(4)))
    by_offset = {dict(span.attributes or {})["messaging.kafka.offset"]: span for span in tracer.spans}
    assert len(tracer.spans) == 4
    assert [by_offset[offset].status.is_unset for offset in range(4)] == [True, False, True, True]
    assert by_offset[1].status.description == "dead letter: ValueError: bad letter"
    attributes = dict(by_offset[1].attributes or {})
    assert (attributes["error.type"], attributes["im.attempts"]) == ("handler_failed", 2)


async def test_what_is_no_event_is_a_failed_span_too() -> None:
    tracer = await deliver(
        TracedWorker(), record(0, new_context()), record(1, new_context(), b"{"), record(2, new_context())
    )
    told = [(dict(span.attributes or {})["messaging.kafka.offset"], span.status.is_unset) for span in tracer.spans]
    assert told == [(0, True), (1, False), (2, True)]


async def test_what_is_given_back_says_so() -> None:
    def away(_message: Message) -> Exception:
        return RetryLater("Redis is away")

    with pytest.raises(StoppedError):
        await deliver(worker := TracedWorker(away), record(0, new_context()), stops=True)
    assert worker.told
