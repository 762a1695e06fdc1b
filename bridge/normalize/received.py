"""What the second step is given."""

from __future__ import annotations

import msgspec

from bridge.query import Query
from common.tracing.context import RecordHeaders


class Received(msgspec.Struct, frozen=True, gc=False):
    """A callback that passed verification."""

    query: Query
    body: bytes
    time_ns: int
    """When it was received, Unix nanoseconds; no two callbacks of a process have the same."""
    trace: RecordHeaders = ()
    """W3C trace context, as headers of each record that it becomes."""
