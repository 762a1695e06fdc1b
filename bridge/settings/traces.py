"""Which callbacks are traced."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from common.settings import SettingsGroup


class TraceSettings(SettingsGroup):
    """Which callbacks are traced. Where their spans go is told by the variables of OpenTelemetry."""

    heading: ClassVar[str] = "Traces"
    read_more: ClassVar[str] = "tracing.md"

    trace_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="""Share of the callbacks, drawn at random, that begin a trace where none comes with them: 0 = none,
        1 = all. Each has a header `traceparent` then, on its record and to whoever is asked about it. One that comes
        with a `traceparent` is traced as that says.""",
    )
