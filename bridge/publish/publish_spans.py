"""The spans of records that go to Kafka: from the callback's receipt until Kafka has confirmed its record.

They are made at the confirmation, of what the record itself carries. So the span of one that lay on disk for hours, and
that another process had received, is as true as any other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bridge.journal.groups import PendingRecord
from common.tracing.context import context_of
from common.tracing.tracer import SpanRole, Tracer

NS_PER_MS = 1_000_000
REFUSED = "Kafka refuses the record for good: it is kept on disk, see `bridge journal show --refused`"


class PublishSpans:
    """Makes the spans of one process.

    Args:
        tracer: what makes spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self.is_confirming = False
        """Whether what becomes durable at this moment does because Kafka has it."""
        self._tracer = tracer

    @contextmanager
    def of(self, records: Sequence[PendingRecord], *, refused: bool) -> Iterator[None]:
        """Surrounds telling the journal of records that leave it.

        Args:
            records: those.
            refused: whether Kafka refuses them; else it has them.
        """
        now_ns = time.time_ns()
        self.is_confirming = not refused
        try:
            yield
        finally:
            self.is_confirming = False
        for pending in records:
            # Nearly all have one header, and no context.
            if len(pending.record.headers) > 1 and (context := context_of(pending.record.headers)) is not None:
                if not context.is_sampled:
                    continue
                record = pending.record
                span = self._tracer.begin(
                    f"send {record.topic}",
                    SpanRole.SENDS,
                    context,
                    began_ns=min(record.timestamp_ms * NS_PER_MS, now_ns),
                    messaging__system="kafka",
                    messaging__operation__type="send",
                    messaging__destination__name=record.topic,
                )
                if span is not None:
                    span.end(ended_ns=now_ns, error=REFUSED if refused else "")
