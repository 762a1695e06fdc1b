"""Spans by the SDK of OpenTelemetry. Imported only where it is wanted and there: see `common.tracing.start`."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from common.logs import Throttle, fields
from common.tracing.context import SAMPLED, TraceContext
from common.tracing.tracer import AttributeValue, SpanRole

log = logging.getLogger(__name__)

EXPORTERS = "opentelemetry_traces_exporter"
"""Under this name packages announce what they export to."""
POLL_S = 0.01
_KINDS = {
    SpanRole.ANSWERS: SpanKind.SERVER,
    SpanRole.ASKS: SpanKind.CLIENT,
    SpanRole.SENDS: SpanKind.PRODUCER,
    SpanRole.HANDLES: SpanKind.CONSUMER,
}
_throttle = Throttle(60.0)


class UnknownExporterError(Exception):
    """No package that is installed has this exporter. The message says what to do."""


def exporters_of(names: Iterable[str]) -> list[SpanExporter]:
    """The exporters that packages have announced under these names, as the environment configures them.

    Raises:
        UnknownExporterError: there is none of that name.
        Exception: whatever it does not like about its variables.
    """
    made = []
    for name in names:
        found = list(entry_points(group=EXPORTERS, name=name))
        if not found:
            known = ", ".join(sorted({one.name for one in entry_points(group=EXPORTERS)}))
            raise UnknownExporterError(f"no installed package exports to {name}; there are: {known}")
        made.append(found[0].load()())
    return made


class SdkTracer:
    """Makes spans with a provider of its own, which is nobody else's.

    Which callbacks are traced is decided elsewhere, so of those that get here none is left out.

    Args:
        processors: what is done with spans that have ended.
        service: name of the program, unless the environment has another.
        facts: what is told of the process, by OpenTelemetry's names.
    """

    def __init__(
        self, processors: Iterable[SpanProcessor], *, service: str, facts: Mapping[str, AttributeValue] | None = None
    ) -> None:
        told = Resource.create(dict(facts or {}))
        if str(told.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
            told = told.merge(Resource({SERVICE_NAME: service}))
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=told, shutdown_on_exit=False)
        for processor in processors:
            self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("im-bridge")

    @classmethod
    def exporting(cls, exporters: Iterable[SpanExporter], *, service: str, version: str) -> SdkTracer:
        """One whose spans are exported by threads of their own. To be made after a process has forked."""
        facts: dict[str, AttributeValue] = {"service.version": version, "process.pid": os.getpid()}
        return cls([BatchSpanProcessor(exporter) for exporter in exporters], service=service, facts=facts)

    def begin(
        self,
        name: str,
        role: SpanRole,
        parent: TraceContext | None,
        *,
        began_ns: int | None = None,
        **attributes: AttributeValue,
    ) -> SdkSpan | None:
        """See `Tracer.begin`."""
        try:
            told = {key.replace("__", "."): value for key, value in attributes.items()}
            # Never what is current: there is nothing of ours, and of others' we know nothing.
            context = trace.set_span_in_context(_remote(parent) if parent else trace.INVALID_SPAN)
            span = self._tracer.start_span(name, context, _KINDS[role], told, start_time=began_ns)
        except Exception as error:  # noqa: BLE001 - a trace is worth no callback
            _tell(error)
            return None
        return SdkSpan(span)

    async def stop(self, within_s: float) -> None:
        """See `Tracer.stop`."""
        # A thread that does not hold up the end of the process: a collector that is away is tried for long.
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        until = asyncio.get_running_loop().time() + within_s
        while ending.is_alive() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - a thread's end
            await asyncio.sleep(POLL_S)


class SdkSpan:
    """See `Span`."""

    __slots__ = ("_span", "context")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        its = span.get_span_context()
        traceparent = f"00-{its.trace_id:032x}-{its.span_id:016x}-{int(its.trace_flags) | SAMPLED:02x}"
        self.context = TraceContext(traceparent, its.trace_state.to_header())

    def note(self, **attributes: AttributeValue) -> None:
        """See `Span.note`."""
        for key, value in attributes.items():
            self._span.set_attribute(key.replace("__", "."), value)

    def end(self, *, ended_ns: int | None = None, error: str = "") -> None:
        """See `Span.end`."""
        try:
            if error:
                self._span.set_status(Status(StatusCode.ERROR, error))
            self._span.end(ended_ns)
        except Exception as fault:  # noqa: BLE001 - a trace is worth no callback
            _tell(fault)


def _remote(context: TraceContext) -> NonRecordingSpan:
    """A span of somebody else."""
    flags = TraceFlags(int(context.traceparent[-2:], 16))
    state = TraceState.from_header([context.tracestate]) if context.tracestate else None
    return NonRecordingSpan(SpanContext(int(context.trace_id, 16), int(context.span_id, 16), True, flags, state))


def _tell(error: Exception) -> None:
    if _throttle.admits("span"):
        log.warning("a span could not be made: %r", error, extra=fields("span_not_made", reason=repr(error)))
