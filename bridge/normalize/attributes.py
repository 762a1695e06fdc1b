"""Values of the platform as attributes of an event: text of bounded length, and the time of an event."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from bridge.normalize.numbers import whole_number

MAX_ATTRIBUTE_CHARS = 256
SECONDS_BELOW = 100_000_000_000
"""A time below this is one in seconds (until the year 5138), any other is one in milliseconds (from 1973)."""
TIME_MS_BELOW = 253_402_300_800_000
"""The year 10000, for which RFC 3339 has no form."""


_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
"""What CloudEvents forbids in text (controls, halves of surrogate pairs, noncharacters), and what ends a line."""


def attribute(text: str) -> str | None:
    """`text` as the value of an attribute: valid Unicode, no control characters, of bounded length; None if empty."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_ATTRIBUTE_CHARS:
        return text or None
    valid = text[:MAX_ATTRIBUTE_CHARS].encode(errors="replace").decode()
    return "".join(character if character.isprintable() else "\ufffd" for character in valid)


def is_attribute(text: str) -> bool:
    """Whether it may be the value of an attribute as it is."""
    return attribute(text) == text


def is_subject(text: str) -> bool:
    """Whether it may be the subject of an event, and so the key of its record.

    No account and no group is named otherwise. Keys are held in memory, and printed by tools that escape nothing.
    """
    if len(text) > MAX_ATTRIBUTE_CHARS:
        return False
    return (text.isascii() and text.isprintable()) or not _FORBIDDEN.search(text)


@lru_cache(maxsize=256)
def platform(text: str) -> str | None:
    """OptPlatform as the attribute `platform`: lower case, None if empty."""
    return attribute(text.lower())


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
