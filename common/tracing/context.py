"""The place of a piece of work in a trace, as headers carry it: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import NamedTuple

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
MAX_TRACESTATE_CHARS = 512
"""As much as everybody has to pass on. Of a longer one nothing is."""
MAX_TRACESTATE_MEMBERS = 32
SAMPLED = 1
RecordHeaders = tuple[tuple[str, bytes], ...]
"""Names and values."""

_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class TraceContext(NamedTuple):
    """Which trace it is, whose work it continues, and whether that is sampled."""

    traceparent: str
    """In the form of version 00: `00-<32 hex digits of the trace>-<16 of the span>-<2 of flags>`."""
    tracestate: str = ""
    """What tracing systems tell each other about it, empty where there is nothing."""

    @property
    def is_sampled(self) -> bool:
        """Whether spans are to be made."""
        return bool(int(self.traceparent[-2:], 16) & SAMPLED)

    @property
    def trace_id(self) -> str:
        """The trace, as tracing systems show it: 32 hex digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """The span that is continued: 16 hex digits."""
        return self.traceparent[36:52]

    @property
    def record_headers(self) -> RecordHeaders:
        """As headers of a Kafka record."""
        return tuple((name, value.encode()) for name, value in self.http_headers.items())

    @property
    def http_headers(self) -> dict[str, str]:
        """As headers of an HTTP request."""
        headers = {TRACEPARENT: self.traceparent}
        if self.tracestate:
            headers[TRACESTATE] = self.tracestate
        return headers


def new_context() -> TraceContext:
    """The beginning of a trace that is sampled."""
    return TraceContext(f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-01")


def read_context(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """The context that two headers tell, None where the first is none. A second that is none is left out."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    if found["version"] == "00":
        if found["more"]:
            return None
    else:  # Of a later version we know the beginning only, and pass on what we know.
        traceparent = f"00-{found['ids']}-{int(found['flags'], 16) & SAMPLED:02x}"
    return TraceContext(traceparent, tracestate if _is_tracestate(tracestate) else "")


def context_of(headers: Iterable[tuple[str, bytes | None]]) -> TraceContext | None:
    """The context in the headers of a Kafka record, None where there is none."""
    found = {name: value or b"" for name, value in headers if name in {TRACEPARENT, TRACESTATE}}
    if TRACEPARENT not in found:
        return None
    try:
        return read_context(found[TRACEPARENT].decode("ascii"), found.get(TRACESTATE, b"").decode("ascii", "replace"))
    except UnicodeDecodeError:
        return None


def _is_tracestate(text: str) -> bool:
    if len(text) > MAX_TRACESTATE_CHARS:
        return False
    members = [member.strip(" \t") for member in text.split(",")]
    return len(members) <= MAX_TRACESTATE_MEMBERS and all(_MEMBER.fullmatch(one) for one in members if one)
