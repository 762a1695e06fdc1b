"""Reads the usual request in one go: a plain POST that has arrived whole, and with nothing behind it.

A client sends the same fields with each request. So what they say is found out once, by httptools, and remembered for
the bytes that they have: only target, size and body are read of each request. That takes a tenth of what it takes to
parse a head, and saves a seventh of all that a callback takes in our own code.

It only shortens the way: of what is not as plain as that nothing is said here, and `bridge.http.head` reads it, which
alone refuses. What is read here would be read there too, and as the same (`tests/http/test_plain.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from bridge.http.head import BLANK_LINE, LINE_ENDS, MAX_FIELDS, MAX_HEAD_BYTES, Head
from bridge.query import query_of

ONE_PIECE_BYTES = 64 * 1024
"""A larger body is read only when its head has proved authentic, even if it has arrived already."""
BEGINNING = b"POST /"
TARGET_AT = len(b"POST ")
VERSION = b" HTTP/1.1"
VERSION_BYTES = len(VERSION)
END_OF_REQUEST_LINE = VERSION + LINE_ENDS
SIZE = b"ength: "
"""What comes before the size of the body, however the name of its field is written."""
SIZE_BYTES = len(SIZE)
SIZE_LINE = b"\r\ncontent-length: "
BLANK_LINE_BYTES = len(BLANK_LINE)
MAX_SIZE_DIGITS = len(str(ONE_PIECE_BYTES))
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
`Fields`."""
CLOSES = {b"": False, b"keep-alive": False, b"close": True}
"""The usual values of the field Connection → whether it is the last request."""
MAX_REMEMBERED = 256
MAX_REMEMBERED_BYTES = 2 * 1024
"""Longer fields are read anew each time. The usual ones have 200 bytes."""


class Fields(NamedTuple):
    """What the fields of a head say beside the size of the body, as in `Head`."""

    closes: bool
    forwarded_for: str
    traceparent: str


def read_plain(data: bytes) -> tuple[Head, bytes] | None:
    """Head and body of the plain request that is all of `data`; None where it is anything else."""
    target_end = data.find(END_OF_REQUEST_LINE)
    fields_at = target_end + VERSION_BYTES
    size_at = data.find(SIZE, fields_at) + SIZE_BYTES
    size_end = data.find(LINE_ENDS, size_at)
    body_at = data.find(BLANK_LINE, size_end) + BLANK_LINE_BYTES
    if not (data.startswith(BEGINNING) and 0 < target_end < size_at < size_end < body_at <= MAX_HEAD_BYTES):
        return None
    target = data[TARGET_AT:target_end]
    digits = data[size_at:size_end]
    if not (digits.isdigit() and size_end - size_at <= MAX_SIZE_DIGITS and target.isascii()):
        return None
    size = int(digits)
    if size != len(data) - body_at or size > ONE_PIECE_BYTES:
        return None
    read = _remembered if body_at - fields_at <= MAX_REMEMBERED_BYTES else _read_fields
    fields = read(data[fields_at:size_at], data[size_end:body_at])
    # The query comes last: it may cost the most, and must not be read for a head that the long way reads again.
    if fields is None or not (query := query_of(target.decode())).is_visible:
        return None
    closes, forwarded_for, traceparent = fields
    head = Head(query=query, size=size, closes=closes, forwarded_for=forwarded_for, traceparent=traceparent)
    return head, data[body_at:]


def _read_fields(before: bytes, after: bytes) -> Fields | None:
    """What these fields say; None if they are not plain, or one of them comes twice.

    Args:
        before: of a head what stands between the version and the size of the body.
        after: what stands behind the size.
    """
    if not before.lower().endswith(SIZE_LINE):
        return None
    lines = before.count(LINE_ENDS) + after.count(LINE_ENDS) - 2
    if lines > MAX_FIELDS:  # To collect thousands would take milliseconds, and the long way refuses them at once.
        return None
    fields = _parsed(b"POST /" + VERSION + before + b"0" + after)
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
    return Fields(closes, _text(found.get(b"x-forwarded-for", b"")), _text(found.get(b"traceparent", b"")))


_remembered = lru_cache(MAX_REMEMBERED)(_read_fields)


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
