"""Values of the platform as the time of an event, or as text."""

from __future__ import annotations

from typing import Any

from bridge.normalize.numbers import whole_number

SECONDS_BELOW = 100_000_000_000
"""A time below this is one in seconds (until the year 5138), any other is one in milliseconds (from 1973)."""
TIME_MS_BELOW = 253_402_300_800_000
"""The year 10000, for which RFC 3339 has no form."""


def event_time_ms(value: Any) -> int | None:
    """EventTime of a body as Unix milliseconds, None where it is no time.

    The platform sends milliseconds or seconds, as a number or as text.
    """
    number = value if type(value) is int else whole_number(value)
    if number is None or number <= 0:
        return None
    milliseconds = number * 1000 if number < SECONDS_BELOW else number
    return milliseconds if milliseconds < TIME_MS_BELOW else None


def is_in_ms(event_time: Any, time_ms: int) -> bool:
    """Whether an EventTime of a body, which is this time, came in milliseconds, not in seconds."""
    return time_ms % 1000 != 0 or whole_number(event_time) == time_ms


def text_or_empty(value: Any) -> str:
    """The value if it is text, else an empty one."""
    return value if isinstance(value, str) else ""
