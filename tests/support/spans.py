"""Spans in memory: a tracer as a process has it, whose spans a test reads."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.tracing.opentelemetry import SdkTracer


class MemoryTracer(SdkTracer):
    """Keeps what has ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        super().__init__([SimpleSpanProcessor(self._exporter)], service="test")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All that have ended, in that order."""
        return self._exporter.get_finished_spans()
