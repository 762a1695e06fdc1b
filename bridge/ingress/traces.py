"""Which callbacks are traced, and the span of a callback that is: from its arrival to its reply.

Only an authentic callback can be: what anybody sends costs no span. One whose context came from somebody in front is
traced as that says; of the others a share, drawn at random: each n-th, n anew each time, so that one that is not traced
costs counting down.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from http import HTTPStatus

from bridge.events import registry
from bridge.ingress.replies import PlatformReply
from bridge.ingress.request import CallbackRequest, Fields
from bridge.query import Query
from common.logs import Throttle
from common.tracing.context import RecordHeaders, TraceContext, new_context, read_context
from common.tracing.tracer import Span, SpanRole, Tracer

log = logging.getLogger(__name__)

RECEIVE = "receive callback"
DECIDE = "ask for a decision"


class CallbackTraces:
    """Draws callbacks, and begins their spans.

    Args:
        share: of the callbacks without a context that are traced: 0.0 (none) to 1.0 (all).
        tracer: makes spans; None: nobody does, and only the context is passed on.
        confirmed_by_kafka: while replies are given, whether it was Kafka that made their callbacks durable.
    """

    def __init__(
        self, share: float = 0.0, tracer: Tracer | None = None, confirmed_by_kafka: Callable[[], bool] = lambda: False
    ) -> None:
        self._tracer = tracer
        self._confirmed_by_kafka = confirmed_by_kafka
        self._throttle = Throttle()
        # Of the chance that none of n is drawn only its logarithm is needed: geometric, by inversion.
        self._log_missed = -math.inf if share >= 1 else math.log1p(-share) if share > 0 else 0.0

    def draw(self) -> int:
        """How many callbacks on the next is that is traced: 1 is the next one; 0: none ever."""
        if not self._log_missed:
            return 0
        return 1 + int(math.log(1.0 - random.random()) / self._log_missed)  # noqa: S311 - nobody gains by guessing it

    def begin(self, request: CallbackRequest, command: str, *, is_drawn: bool) -> tuple[CallbackRequest, RecordHeaders]:
        """The request to go on with, whose span ends with its reply; and the context for its records.

        Args:
            request: authentic.
            command: of the callback.
            is_drawn: whether a trace begins with it if it continues none.
        """
        try:
            fields = request.fields
            came = read_context(fields.traceparent, fields.tracestate) if fields.traceparent else None
            if came is None and not is_drawn:
                return request, ()
            if self._tracer is None or not (came is None or came.is_sampled):
                return request, (came or new_context()).record_headers
            span = self._begin_span(self._tracer, request, command, came)
        except Exception:
            if self._throttle.admits("fault"):
                log.exception("a callback cannot be traced")
            return request, ()
        if span is None:
            return request, (came or new_context()).record_headers
        return TracedRequest(request, span, self._confirmed_by_kafka), span.context.record_headers

    def ask(self, command: str, context: TraceContext | None, endpoint: str) -> Span | None:
        """The span of the question to an endpoint; None where the callback has none."""
        if self._tracer is None or context is None or not context.is_sampled:
            return None
        label = registry.label(command)
        return self._tracer.begin(DECIDE, SpanRole.ASKS, context, im__command=label, server__address=endpoint)

    @staticmethod
    def _begin_span(tracer: Tracer, request: CallbackRequest, command: str, came: TraceContext | None) -> Span | None:
        began_ns = time.time_ns() - int((time.perf_counter() - request.arrived) * 1e9)
        return tracer.begin(
            RECEIVE,
            SpanRole.ANSWERS,
            came,
            began_ns=began_ns,
            im__command=registry.label(command),
            im__app=request.query.app_id,
            http__request__method="POST",
        )


class TracedRequest:
    """A request with a span, which ends with the reply."""

    __slots__ = ("_confirmed_by_kafka", "_request", "_span", "refused")

    def __init__(self, request: CallbackRequest, span: Span, confirmed_by_kafka: Callable[[], bool]) -> None:
        self._request = request
        self._span = span
        self._confirmed_by_kafka = confirmed_by_kafka
        self.refused = ""
        """Why it is not kept as an event, in one word; empty: it is."""

    @property
    def trace_id(self) -> str:
        """Its trace, as tracing systems show it."""
        return self._span.context.trace_id

    @property
    def fields(self) -> Fields:
        """See `CallbackRequest`, as all that follows."""
        return self._request.fields

    @property
    def query(self) -> Query:
        """What its target says."""
        return self._request.query

    @property
    def peer(self) -> str | None:
        """Who is connected."""
        return self._request.peer

    @property
    def size(self) -> int | None:
        """Of the body."""
        return self._request.size

    def take_body(self) -> bytes:
        """The whole body, once."""
        return self._request.take_body()

    @property
    def arrived(self) -> float:
        """When it came."""
        return self._request.arrived

    def respond(self, reply: PlatformReply) -> None:
        """Answer it, and end its span."""
        durable_by = "kafka" if self._confirmed_by_kafka() else "disk"
        ended_ns = time.time_ns()
        self._request.respond(reply)
        self._span.note(http__response__status_code=int(reply.status))
        if self.refused:
            self._span.note(error__type=self.refused)
        else:
            self._span.note(im__durable_by=durable_by)
        failed = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self._span.end(ended_ns=ended_ns, error=self.refused if failed else "")
