"""Which dead letters a command means. It knows no Kafka, so that wrong options are told at once."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

INGRESS = "ingress"
"""Stands for the group of the letters that the bridge wrote itself."""

_SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters are meant: those that fit all that is given."""

    name: str | None = None
    type: str | None = None
    """With wildcards."""
    command: str | None = None
    """With wildcards."""
    account: str | None = None
    group: str | None = None
    reason: str | None = None
    since_ms: int | None = None
    """Given up at this time (Unix ms) or later."""
    until_ms: int | None = None
    """Given up before this time."""


def parse_name(text: str) -> str:
    """The name of a letter: its partition and its offset, as `0-17`.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[0-9]+-[0-9]+", text):
        raise ValueError(f"{text!r} names no dead letter: write partition-offset, as in 0-17")
    partition, _, offset = text.partition("-")
    return f"{int(partition)}-{int(offset)}"


def parse_time(text: str) -> int:
    """A time in Unix ms: `2026-01-31T12:00` (UTC unless it has a zone), or how long ago, as `90s`, `30m`, `2h`, `7d`.

    Raises:
        ValueError: it is neither.
    """
    if found := re.fullmatch(r"(\d+)([smhd])", text):
        # What is longer ago than anything was received is before all of it.
        return max(0, int(time.time() * 1000) - int(found[1]) * _SECONDS_OF_UNIT[found[2]] * 1000)
    try:
        at = datetime.fromisoformat(text)
        return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).timestamp() * 1000))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write 2026-01-31T12:00, or 30m, 2h, 7d for so long ago") from None
