"""Reads the usual request in one go: a plain POST that has arrived whole, and with nothing behind it.

A client sends the same fields with each request. So what they say is found out once, by httptools, and remembered for
the bytes that they have: of each request only target, size and body are read. That takes a tenth of what it takes to
parse a head. A connection knows the fields of its last request, so that the next one is cut in two where they are: that
takes a third of finding their ends.

It only shortens the way: of what is not as plain as that nothing is said here, and `bridge.http.head` reads it, which
alone refuses. What is read here would be read there too, and as the same (`tests/http/test_plain.py`).
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from bridge.http.head import BLANK_LINE, LINE_ENDS, MAX_FIELDS, MAX_HEAD_BYTES, HeadFields
from bridge.query import Query, query_in

ONE_PIECE_BYTES = 64 * 1024
"""A larger body is read only when its head has proved authentic, even if it has arrived already."""
BEGINNING = b"POST /"
VERSION = b" HTTP/1.1"
VERSION_BYTES = len(VERSION)
END_OF_REQUEST_LINE = VERSION + LINE_ENDS
SIZE = b"ength: "
"""What comes before the size of the body, however the name of its field is written."""
SIZE_BYTES = len(SIZE)
SIZE_LINE = b"\r\ncontent-length: "
BLANK_LINE_BYTES = len(BLANK_LINE)
MAX_SIZE_DIGITS = len(str(ONE_PIECE_BYTES))
_SIZES = tuple(b"%d" % size for size in range(4096))
"""Of usual bodies: to write the digits costs as much as cutting the request once."""
NOT_PLAIN = frozenset(
    (
        b"content-encoding",
        b"expect",
        b"proxy-connection",
        b"sec-websocket-key1",
        b"tracestate",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Fields that say how to go on, for which a request is refused, or that are rare. Any other is passed over, or named in
`HeadFields`."""
CLOSES = {b"": False, b"keep-alive": False, b"close": True}
"""The usual values of the field Connection → whether it is the last request."""
MAX_REMEMBERED = 256
MAX_FIELDS_BYTES = 1024
"""More are not plain: each connection may keep as many. The usual ones have 200 bytes."""


class PlainFields(msgspec.Struct, frozen=True, gc=False):
    """The fields of a plain request around the size of its body: what a client sends with each of its requests."""

    before: bytes
    """From behind the target to the size."""
    after: bytes
    """From behind the size to the end of the head."""
    fields: HeadFields
    """What they say."""


SHORTEST = PlainFields(END_OF_REQUEST_LINE + b"Host: x\r\nContent-Length: ", BLANK_LINE, HeadFields())
"""For a connection that has had no request."""


def read_plain(data: bytes, known: PlainFields) -> tuple[Query, PlainFields, bytes] | None:
    """What the plain request says that is all of `data`: its query, its fields and its body; None where it is anything
    else.

    Args:
        data: what has arrived.
        known: the fields of the request before it, which most likely has the same.
    """
    line, _, rest = data.partition(known.before)
    size, _, body = rest.partition(known.after)
    length = len(body)
    if size != (_SIZES[length] if length < len(_SIZES) else b"%d" % length) or len(data) > MAX_HEAD_BYTES:
        found = _found(data)
        if found is None:
            return None
        line, known, body = found
    # The query comes last: it may cost the most, and must not be read for a head that the long way reads again.
    try:
        query = query_in(line)
    except UnicodeDecodeError:
        return None
    return (query, known, body) if query.common.is_plain else None


def _found(data: bytes) -> tuple[bytes, PlainFields, bytes] | None:
    """The request line without its version, the fields and the body of a request that has other fields than the one
    before it."""
    line_end = data.find(END_OF_REQUEST_LINE)
    size_at = data.find(SIZE, line_end + VERSION_BYTES) + SIZE_BYTES
    size_end = data.find(LINE_ENDS, size_at)
    body_at = data.find(BLANK_LINE, size_end) + BLANK_LINE_BYTES
    if not (data.startswith(BEGINNING) and 0 < line_end < size_at < size_end < body_at <= MAX_HEAD_BYTES):
        return None
    digits = data[size_at:size_end]
    if not (digits.isdigit() and size_end - size_at <= MAX_SIZE_DIGITS):
        return None
    size = int(digits)
    if size != len(data) - body_at or size > ONE_PIECE_BYTES:
        return None
    if body_at - line_end > MAX_FIELDS_BYTES:
        return None
    fields = _read_fields(data[line_end:size_at], data[size_end:body_at])
    return None if fields is None else (data[:line_end], fields, data[body_at:])


@lru_cache(MAX_REMEMBERED)
def _read_fields(before: bytes, after: bytes) -> PlainFields | None:
    """What these fields say; None if they are not plain, or one of them comes twice.

    Args:
        before: of a head what stands from behind the target to the size of the body.
        after: what stands behind the size.
    """
    if not before.lower().endswith(SIZE_LINE):
        return None
    lines = before.count(LINE_ENDS) + after.count(LINE_ENDS) - 2
    if lines > MAX_FIELDS:  # To collect thousands would take milliseconds, and the long way refuses them at once.
        return None
    fields = _parsed(BEGINNING + before + b"0" + after)
    found = {name.lower(): value for name, value in fields}
    closes = CLOSES.get(found.get(b"connection", b"").lower())
    if (
        closes is None
        or not NOT_PLAIN.isdisjoint(found)
        or b"host" not in found
        # So none comes twice, each has a line, and the head ends where it seems to.
        or not len(found) == len(fields) == lines
    ):
        return None
    told = HeadFields(
        closes=closes,
        forwarded_for=_text(found.get(b"x-forwarded-for", b"")),
        traceparent=_text(found.get(b"traceparent", b"")),
    )
    return PlainFields(before, after, told)


def _parsed(head: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of the fields of a head; none where it is no proper one."""
    fields: list[tuple[bytes, bytes]] = []
    parser = HttpRequestParser(_Collector(fields))
    try:
        parser.feed_data(head)
    except (HttpParserError, HttpParserUpgrade):
        return []
    return fields


class _Collector:
    """What httptools calls."""

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._fields = fields

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))


def _text(value: bytes) -> str:
    """The value of a field as aiohttp gives it."""
    return value.rstrip(b" \t").decode(errors="surrogateescape")
