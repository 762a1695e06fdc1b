"""The request that a connection has, as the ingress sees it."""

from __future__ import annotations

from bridge.http.body_budget import BodyBudget
from bridge.http.coding import inflate
from bridge.http.head import Head
from bridge.ingress import refusals
from bridge.ingress.refusals import RefusedError
from bridge.ingress.verify import Verdict
from bridge.query import Query


class HttpRequest:
    """The facts of a request. A connection is one, whose fields are set anew for each request.

    Args:
        bodies: the memory for bodies.
        max_body_bytes: most that a body may have, once unpacked.
    """

    __slots__ = (
        "_bodies",
        "_held",
        "_max_body_bytes",
        "arrived",
        "content",
        "head",
        "peer",
        "verdict",
    )

    def __init__(self, bodies: BodyBudget, *, max_body_bytes: int) -> None:
        self._bodies = bodies
        self._max_body_bytes = max_body_bytes
        self._held = 0
        """Bytes that the request takes of the memory for bodies."""
        self.head: Head
        self.content: bytes | None = None
        """The whole body as it came, None while it is not there."""
        self.verdict: Verdict | None = None
        """Of the ingress on the head, where the body came later."""
        self.peer: str | None = None
        """Address of whoever is connected, or was when the request came."""
        self.arrived = 0.0
        """When its head had arrived (`time.perf_counter`)."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.head.method

    @property
    def query(self) -> Query:
        """What its target says."""
        return self.head.query

    @property
    def forwarded_for(self) -> str:
        """Values of all headers `X-Forwarded-For`, joined with commas."""
        return self.head.forwarded_for

    @property
    def traceparent(self) -> str:
        """The header `traceparent`, empty if there is none."""
        return self.head.traceparent

    @property
    def tracestate(self) -> str:
        """Values of all headers `tracestate`, joined with commas."""
        return self.head.tracestate

    @property
    def size(self) -> int | None:
        """Bytes of the body as it came; while it arrives, what the head says, None where it says nothing."""
        return self.head.size if self.content is None else len(self.content)

    @property
    def body(self) -> bytes:
        """The whole body, unpacked. Only of an authentic request, and once: it takes of the memory for bodies.

        Raises:
            RefusedError: it cannot be read, or there is no memory for it.
        """
        head = self.head
        if head.refusal is not None:
            raise RefusedError(head.refusal)
        body = self.content or b""
        size = len(body)
        if not self._bodies.take(size):
            raise RefusedError(refusals.NO_ROOM_FOR_BODY)
        self._held += size
        return self._inflated(body, head.coding) if head.coding else body

    def forget(self) -> None:
        """The request has its reply, or gets none."""
        self._bodies.release(self._held)
        self._held = 0
        self.content = None
        self.verdict = None
        del self.head

    def _inflated(self, body: bytes, coding: str) -> bytes:
        body = inflate(body, coding, max_bytes=self._max_body_bytes)
        if not self._bodies.take(len(body)):
            raise RefusedError(refusals.NO_ROOM_FOR_BODY)
        self._held += len(body)
        return body
