"""Reads the usual request in one go: a plain POST that has arrived whole, and with nothing behind it.

httptools is the parser of aiohttp, llhttp, without the objects that aiohttp makes of each request. It only shortens the
way: of what is not as plain as that nothing is said here, and `bridge.http.head` reads it, which alone refuses. What is
read here would be read there too, and as the same (`tests/http/test_plain.py`).

A client sends the same fields with each request, in the same order. So what they are is found out once (`_layout_of`),
and the parser, which is written in C, calls nothing that is not.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from bridge.http.head import BLANK_LINE, LINE_ENDS, MAX_FIELDS, MAX_HEAD_BYTES, Head

ONE_PIECE_BYTES = 64 * 1024
"""A larger body is read only when its head has proved authentic, even if it has arrived already."""
BEGINNING = b"POST /"
TARGET_AT = len(b"POST ")
VERSION = b" HTTP/1.1" + LINE_ENDS
NOT_PLAIN = frozenset(
    (
        b"content-encoding",
        b"expect",
        b"proxy-connection",
        b"sec-websocket-key1",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Fields that say how to go on, or for which a request is refused. Any other is passed over, or named in `Layout`."""
CLOSES = {b"keep-alive": False, b"close": True}
"""The usual values of the field Connection → whether it is the last request."""
MAX_LAYOUTS = 64


class Layout(msgspec.Struct, frozen=True, gc=False):
    """As which names the fields that matter come, None where one does not."""

    size: bytes
    connection: bytes | None
    forwarded_for: bytes | None
    traceparent: bytes | None
    lines: int
    """How many lines a head with these fields has, the first and the empty one too."""


@lru_cache(MAX_LAYOUTS)
def _layout_of(names: tuple[bytes, ...]) -> Layout | None:
    """What to make of a head with these fields; None if it is not plain, or one of them comes twice."""
    found = {name.lower(): name for name in names}
    if (
        not NOT_PLAIN.isdisjoint(found)
        or not found.keys() >= {b"host", b"content-length"}
        or not len(found) == len(names) <= MAX_FIELDS
    ):
        return None
    get = found.get
    return Layout(
        found[b"content-length"], get(b"connection"), get(b"x-forwarded-for"), get(b"traceparent"), len(names) + 2
    )


class PlainReader:
    """Reads plain requests. One serves all connections, since none of them leaves anything behind in it."""

    def __init__(self) -> None:
        self._targets: list[bytes] = []
        self._fields: dict[bytes, bytes] = {}
        self.on_url = self._targets.append
        """Called by the parser with the target of a request."""
        self.on_header = self._fields.setdefault
        """Called by the parser with name and value of a field."""
        self._feed = HttpRequestParser(self).feed_data

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body of the plain request that is all of `data`; None where it is anything else."""
        if not data.startswith(BEGINNING) or len(data) > MAX_HEAD_BYTES + ONE_PIECE_BYTES:
            return None
        self._targets.clear()
        self._fields.clear()
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade):
            plain = None
        else:
            plain = self._plain(data)
        if plain is None or plain[0].closes:  # The parser is in the midst of something, or at its end.
            self._feed = HttpRequestParser(self).feed_data
        return plain

    def _plain(self, data: bytes) -> tuple[Head, bytes] | None:
        """What to make of what the parser has read, as `read`."""
        fields = self._fields
        layout = _layout_of(tuple(fields))
        if layout is None:
            return None
        size = int(fields[layout.size])
        at = len(data) - size
        target = self._targets[0]
        closes = False if layout.connection is None else CLOSES.get(fields[layout.connection].lower())
        if (
            not 0 < at <= MAX_HEAD_BYTES
            or size > ONE_PIECE_BYTES
            # So the head ends here: it is all there, nothing comes behind the body, and no name is repeated.
            or data.count(LINE_ENDS, 0, at) != layout.lines
            or not data.startswith(BLANK_LINE, at - len(BLANK_LINE))
            or not data.startswith(VERSION, TARGET_AT + len(target))
            or not target.isascii()
            or closes is None
        ):
            return None
        head = Head(
            path=target.decode(),
            size=size,
            closes=closes,
            forwarded_for=_text(fields[layout.forwarded_for]) if layout.forwarded_for else "",
            traceparent=_text(fields[layout.traceparent]) if layout.traceparent else "",
        )
        return head, data[at:]


def _text(value: bytes) -> str:
    """The value of a field as aiohttp gives it."""
    return value.rstrip(b" \t").decode(errors="surrogateescape")
