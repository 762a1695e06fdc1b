"""The spans of traced events in a worker: each from the begin of its batch to the end, or to its dead letter.

An event that waits, since something is away, has the span of all that time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiokafka import ConsumerRecord

from common.kafka.light_records import headers_of
from common.tracing.context import TraceContext, context_of
from common.tracing.tracer import Span, SpanRole, Tracer
from consumers.errors import describe
from consumers.metrics import DeadLetterReason

GIVEN_BACK = "not handled: its partition was given back, or the batch broke off; it comes again"


class ProcessSpans:
    """Makes the spans of one worker.

    Args:
        tracer: what makes spans.
        worker: name of the worker.
        group: its consumer group.
    """

    def __init__(self, tracer: Tracer, *, worker: str, group: str) -> None:
        self._tracer = tracer
        self._worker = worker
        self._group = group
        self._open: dict[tuple[str, int, int], Span] = {}
        """Topic, partition and offset of what is being handled → its span."""

    def context(self, topic: str, partition: int, offset: int) -> TraceContext | None:
        """What is to travel with whatever is done for a record that is being handled; None: it is not traced here."""
        span = self._open.get((topic, partition, offset))
        return None if span is None else span.context

    @contextmanager
    def handling(self, records: Sequence[ConsumerRecord]) -> Iterator[None]:
        """Surrounds the handling of a batch."""
        began_ns = time.time_ns()
        mine = []
        for at, headers in enumerate(headers_of(records)):
            if (context := _sampled(headers)) is None:
                continue
            record = records[at]
            if (span := self._begin(record, context, began_ns, len(records))) is not None:
                place = (record.topic, record.partition, record.offset)
                self._open[place] = span
                mine.append(place)
        error = GIVEN_BACK
        try:
            yield
            error = ""
        finally:
            for place in mine:
                if (left := self._open.pop(place, None)) is not None:  # Else it was given up.
                    left.end(error=error)

    def gave_up(self, record: ConsumerRecord, error: Exception, reason: DeadLetterReason, attempts: int) -> None:
        """A record is a dead letter now."""
        span = self._open.pop((record.topic, record.partition, record.offset), None)
        if span is None and (context := _sampled(record.headers)) is not None:
            span = self._begin(record, context, time.time_ns(), 1)
        if span is not None:
            span.note(error__type=reason, im__attempts=attempts)
            span.end(error=f"dead letter: {describe(error)}")

    def _begin(self, record: ConsumerRecord, context: TraceContext, began_ns: int, batch_size: int) -> Span | None:
        return self._tracer.begin(
            f"process {record.topic}",
            SpanRole.HANDLES,
            context,
            began_ns=began_ns,
            im__worker=self._worker,
            messaging__system="kafka",
            messaging__operation__type="process",
            messaging__destination__name=record.topic,
            messaging__destination__partition__id=str(record.partition),
            messaging__kafka__offset=record.offset,
            messaging__consumer__group__name=self._group,
            messaging__batch__message_count=batch_size,
        )


def _sampled(headers: Sequence[tuple[str, bytes]]) -> TraceContext | None:
    """The trace that a record belongs to, where spans of it are wanted."""
    context = context_of(headers) if headers else None
    return context if context is not None and context.is_sampled else None
