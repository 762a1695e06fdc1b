"""Reads the heads of requests, with the parser of aiohttp, which sees heads only.

The parser is never given a byte beyond the head that it reads: what follows it is a body, or another request that has
to wait for its turn. So whatever is wrong with a request cannot touch the one before it.

Any request can be read this way. The usual ones take a shorter one: see `bridge.http.plain`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiohttp import HttpVersion10, HttpVersion11, hdrs
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from multidict import istr

from bridge.http.coding import coding_of
from bridge.http.malformed import refusal_of
from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal, RefusedError
from bridge.ingress.request import Fields
from bridge.query import Query, query_of

MAX_HEAD_BYTES = 32 * 1024
"""Of a head with all that belongs to it: request line, header fields, empty lines before them."""
MAX_ARRIVING_HEADS_BYTES = 16 * 1024 * 1024
"""Of all heads that have begun to arrive, and which hold up to four times as much memory. Anybody can begin one on each
of thousands of connections; a usual one has half a kibibyte, and most arrive in one piece."""
MAX_FIELDS = 100
"""Most header fields of a request."""
BLANK_LINE = b"\r\n\r\n"
LINE_ENDS = b"\r\n"
BEGINNING_BYTES = 16
"""By so much of what comes one can tell another protocol."""


TRACEPARENT = istr("traceparent")
TRACESTATE = istr("tracestate")
FORWARDED_FOR = istr("X-Forwarded-For")


class HeadFields(Fields, frozen=True, kw_only=True, gc=False):
    """What a head says beside target and size, as far as we need to know it."""

    is_chunked: bool = False
    """Whether the body comes in chunks."""
    coding: str = ""
    """How the body is compressed: `gzip`, `deflate`, or an empty string."""
    refusal: Refusal | None = None
    """Why the body cannot be read, None where it can."""
    expects_continue: bool = False
    """Whether the client waits with its body until it is told to go on."""
    closes: bool = False
    """Whether it is the last request on its connection."""


class Head(NamedTuple):
    """What the head of a request says."""

    query: Query
    """What its target says."""
    fields: HeadFields
    size: int | None
    """Bytes of the body, None where it says nothing of them."""


class HeadReader:
    """Reads the heads on a connection, one after the other."""

    __slots__ = ("_beginning", "_parser", "_tail", "size")

    def __init__(self) -> None:
        nobody: Any = None  # A body would know its connection and the event loop, and the parser makes none.
        self._parser = HttpRequestParser(
            nobody,
            nobody,
            MAX_HEAD_BYTES,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_FIELDS,
            response_with_body=False,
            auto_decompress=False,
        )
        self.size = 0
        """Bytes of the head under way that were read, with empty lines before it."""
        self._tail = b""
        """The last three of them: an end of the head may be cut in two."""
        self._beginning = b""
        """The first bytes of the head under way, without the empty lines before it."""

    @property
    def is_begun(self) -> bool:
        """Whether something came of the head under way. Empty lines before it are nothing."""
        return bool(self._beginning)

    def read(self, data: bytes) -> tuple[Head | None, int]:
        """Read on in what arrived.

        Returns:
            the head, None while it is not there as a whole; and how many bytes belong to it.

        Raises:
            RefusedError: it is no HTTP, or too large.
        """
        at = 0
        while at < len(data):
            end = self._end(data, at)
            self.size += end - at
            if self.size > MAX_HEAD_BYTES:
                raise RefusedError(refusals.HEAD_TOO_LARGE)
            part = data[at:end]
            try:
                messages, _, _ = self._parser.feed_data(part)
            except HttpProcessingError as error:
                raise RefusedError(refusal_of(error, self._beginning + part.lstrip(LINE_ENDS))) from error
            at = end
            if messages:
                self.size = 0
                self._tail = b""
                self._beginning = b""
                return _head_of(messages[0][0]), at
            self._tail = (self._tail + part)[-3:]
            if len(self._beginning) < BEGINNING_BYTES:
                self._beginning = (self._beginning + part).lstrip(LINE_ENDS)[:BEGINNING_BYTES]
        return None, at

    def _end(self, data: bytes, at: int) -> int:
        """Where the next empty line ends, which ends a head or comes before it; the end of `data` if there is none."""
        if self._tail:
            cut = (self._tail + data[at : at + 3]).find(BLANK_LINE)
            if cut >= 0:
                return at + cut + len(BLANK_LINE) - len(self._tail)
        found = data.find(BLANK_LINE, at)
        return len(data) if found < 0 else found + len(BLANK_LINE)


def _head_of(message: RawRequestMessage) -> Head:
    """What matters of what the parser has read.

    Raises:
        RefusedError: it is of a version of HTTP that we do not speak.
    """
    is_newest = message.version is HttpVersion11
    if not is_newest and message.version != HttpVersion10:
        raise RefusedError(refusals.HTTP_VERSION)
    headers = message.headers
    length = headers.get(hdrs.CONTENT_LENGTH)
    coding, refusal = "", None
    try:
        coding = coding_of(message)
    except RefusedError as refused:
        refusal = refused.refusal
    fields = HeadFields(
        method=message.method,
        is_chunked=message.chunked,
        coding=coding,
        refusal=refusal,
        expects_continue=is_newest and hdrs.EXPECT in headers,
        closes=message.should_close or message.upgrade or not is_newest,
        forwarded_for=",".join(headers.getall(FORWARDED_FOR, ())),
        traceparent=headers.get(TRACEPARENT, ""),
        tracestate=",".join(headers.getall(TRACESTATE, ())),
    )
    size = None if length is None else int(length)
    return Head(query_of(f"{message.method} {message.path}"), fields, size)
