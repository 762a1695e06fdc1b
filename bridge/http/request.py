"""The request that a connection has, as the ingress sees it."""

from __future__ import annotations

from bridge.http.body_budget import BodyBudget
from bridge.http.coding import inflate
from bridge.http.head import HeadFields
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
        "declared_size",
        "fields",
        "peer",
        "query",
        "verdict",
    )

    def __init__(self, bodies: BodyBudget, *, max_body_bytes: int) -> None:
        self._bodies = bodies
        self._max_body_bytes = max_body_bytes
        self._held = 0
        """Bytes that the request takes of the memory for bodies."""
        self.query: Query
        """What its target says."""
        self.fields: HeadFields
        self.declared_size: int | None = None
        """Bytes of the body by the head, None where that says nothing."""
        self.content: bytes | None = None
        """The whole body as it came, None while it is not there."""
        self.verdict: Verdict | None = None
        """Of the ingress on the head, where the body came later."""
        self.peer: str | None = None
        """Address of whoever is connected, or was when the request came."""
        self.arrived = 0.0
        """When its head had arrived (`time.perf_counter`)."""

    @property
    def size(self) -> int | None:
        """Bytes of the body as it came; while it arrives, what the head says, None where it says nothing."""
        return self.declared_size if self.content is None else len(self.content)

    def take_body(self) -> bytes:
        """The whole body, unpacked. Only of an authentic request, and once: it takes of the memory for bodies.

        Raises:
            RefusedError: it cannot be read, or there is no memory for it.
        """
        fields = self.fields
        if fields.refusal is not None:
            raise RefusedError(fields.refusal)
        body = self.content or b""
        size = len(body)
        if not self._bodies.take(size):
            raise RefusedError(refusals.NO_ROOM_FOR_BODY)
        self._held += size
        return self._inflated(body, fields.coding) if fields.coding else body

    def forget(self) -> None:
        """The request has its reply, or gets none."""
        self._bodies.release(self._held)
        self._held = 0
        self.content = None
        self.verdict = None
        del self.query

    def _inflated(self, body: bytes, coding: str) -> bytes:
        body = inflate(body, coding, max_bytes=self._max_body_bytes)
        if not self._bodies.take(len(body)):
            raise RefusedError(refusals.NO_ROOM_FOR_BODY)
        self._held += len(body)
        return body
