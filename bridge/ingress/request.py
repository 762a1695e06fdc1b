"""What the ingress needs to know of a request, whatever it came over."""

from __future__ import annotations

from typing import Protocol

from bridge.ingress.replies import PlatformReply
from bridge.query import Query


class CallbackRequest(Protocol):
    """A request that has arrived: its head at least, and its body when it is accepted."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def query(self) -> Query:
        """What its target says: path and query."""

    @property
    def peer(self) -> str | None:
        """Address of whoever is connected, None where it is not known."""

    @property
    def forwarded_for(self) -> str:
        """Values of all headers `X-Forwarded-For`, joined with commas."""

    @property
    def traceparent(self) -> str:
        """The header `traceparent`, empty if there is none."""

    @property
    def tracestate(self) -> str:
        """Values of all headers `tracestate`, joined with commas."""

    @property
    def size(self) -> int | None:
        """Bytes of the body, None while nobody knows."""

    @property
    def body(self) -> bytes:
        """The whole body, unpacked. Only for an authentic request, and once.

        Raises:
            RefusedError: it cannot be read.
        """

    @property
    def arrived(self) -> float:
        """When it came: `time.perf_counter()`."""

    def respond(self, reply: PlatformReply) -> None:
        """Answer it. Called once."""
