"""What makes spans, as those see it who have some made: nothing here knows OpenTelemetry, which may not be there."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from common.tracing.context import TraceContext

AttributeValue = str | int


class SpanRole(Enum):
    """The part that a span has in what several programs do together."""

    ANSWERS = auto()
    """A request of somebody else."""
    ASKS = auto()
    """Somebody else."""
    SENDS = auto()
    """A record."""
    HANDLES = auto()
    """A record."""


class Span(Protocol):
    """A piece of work, under way. Nothing here raises: whatever becomes of a trace, the work goes on."""

    @property
    def context(self) -> TraceContext:
        """What is to travel with whatever continues it."""

    def note(self, **attributes: AttributeValue) -> None:
        """Say more of it. Names of attributes have `__` in place of a dot."""

    def end(self, *, ended_ns: int | None = None, error: str = "") -> None:
        """It is over.

        Args:
            ended_ns: when, Unix nanoseconds; None: now.
            error: why it has failed, for people; empty: it has not.
        """


class Tracer(Protocol):
    """Makes the spans of a process."""

    def begin(
        self,
        name: str,
        role: SpanRole,
        parent: TraceContext | None,
        *,
        began_ns: int | None = None,
        **attributes: AttributeValue,
    ) -> Span | None:
        """A span, None where none can be made.

        Args:
            name: what is done, of few values.
            role: of which kind.
            parent: what it continues; None: it begins a trace.
            began_ns: when it began, Unix nanoseconds; None: now.
            attributes: as of `Span.note`.
        """

    async def stop(self, within_s: float) -> None:
        """Export what is there, and end; give up after `within_s`."""
