"""What the audit looks at of a record: its number, and when it was received."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from common.audit.header import HEADER, RecordNumber, parse_number
from common.audit.statement import MAX_TIME_MS
from common.kafka.light_records import RecordStamp

ORIGINAL = "original-offset"
"""A header of the copies that workers write of records that they give up: their numbers are those of the originals. An
ingress that announces a record in quarantine names its topic alone, and the announcement has a number of its own."""


def tellable(stamps: Iterable[RecordStamp], last_ms: int) -> Iterator[RecordStamp]:
    """Stamps whose times can be told: whoever writes a record chooses it, or gives it none.

    Args:
        stamps: of records of a partition, in their order.
        last_ms: of the record before them.
    """
    for stamp in stamps:
        time_ms = stamp.timestamp_ms
        last_ms = min(time_ms, MAX_TIME_MS) if time_ms >= 0 else last_ms  # As the one before it, which is the nearest.
        yield stamp if time_ms == last_ms else stamp._replace(timestamp_ms=last_ms)


def number_of(headers: Sequence[tuple[str, Any]]) -> RecordNumber | None:
    """The number of a record; None where it has none of its own."""
    found = None
    for name, value in headers:
        if name == HEADER and value is not None:
            found = parse_number(value)
        elif name == ORIGINAL:
            return None
    return found
