"""What the ingress needs to know of a request, whatever it came over."""

from __future__ import annotations

from typing import Protocol

import msgspec

from bridge.ingress.replies import PlatformReply
from bridge.query import Query


class Fields(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the head of a request says beside its target. Requests that say the same may share it."""

    method: str = "POST"
    """The HTTP method."""
    forwarded_for: str = ""
    """Values of all fields `X-Forwarded-For`, joined with commas."""
    traceparent: str = ""
    """The first field `traceparent`, empty if there is none."""
    tracestate: str = ""
    """Values of all fields `tracestate`, joined with commas."""


class CallbackRequest(Protocol):
    """A request that has arrived: its head at least, and its body when it is accepted."""

    @property
    def fields(self) -> Fields:
        """What its head says beside the target."""

    @property
    def query(self) -> Query:
        """What its target says: path and query."""

    @property
    def peer(self) -> str | None:
        """Address of whoever is connected, None where it is not known."""

    @property
    def size(self) -> int | None:
        """Bytes of the body, None while nobody knows."""

    def take_body(self) -> bytes:
        """The whole body, unpacked. Only for an authentic request, and once.

        Raises:
            RefusedError: it cannot be read.
        """

    @property
    def arrived(self) -> float:
        """When it came: `time.perf_counter()`."""

    def respond(self, reply: PlatformReply) -> None:
        """Answer it. Called once."""
