"""A collector of traces that speaks OTLP over HTTP, as OpenTelemetry's own does, and keeps what it is sent."""

from __future__ import annotations

from typing import Any, NamedTuple

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.threaded_server import STOP_S, ThreadedServer


class CollectedSpan(NamedTuple):
    """A span as it came; ids in hex, the parent's empty where there is none."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    error: str
    attributes: dict[str, Any]


class Collector(ThreadedServer):
    """Used as a context. `spans` are all that came."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[CollectedSpan] = []

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def make_runner(self) -> web.BaseRunner:
        """The collector alone."""
        return web.ServerRunner(web.Server(self._collect), shutdown_timeout=STOP_S)

    async def _collect(self, request: web.BaseRequest) -> web.Response:
        sent = ExportTraceServiceRequest()
        sent.ParseFromString(await request.read())
        for resource in sent.resource_spans:
            service = _told(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        CollectedSpan(
                            service,
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            span.status.message if span.status.code == 2 else "",
                            _told(span.attributes),
                        )
                    )
        return web.Response(content_type="application/x-protobuf")


def _told(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
