"""Reads the usual request in one go: a plain POST that has arrived whole, and with nothing behind it.

A client sends the same fields with each request. So what they say is found out once, by httptools, and remembered for
the bytes that they have; so is what of the query is the same from one callback to the next. Most likely a request has
the head of the one before it, but for the address in its query and the size of its body: it is cut at these two, which
takes a twentieth of what it takes to parse a head. Another one is cut at its line ends.

It only shortens the way: of what is not as plain as that nothing is said here, and `bridge.http.head` reads it, which
alone refuses. What is read here would be read there too, and as the same (`tests/http/test_plain.py`).
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from bridge.http.head import BLANK_LINE, LINE_ENDS, MAX_FIELDS, MAX_HEAD_BYTES, HeadFields
from bridge.query import ADDRESS, MAX_ADDRESS_CHARS, Common, Query, query_in

ONE_PIECE_BYTES = 64 * 1024
"""A larger body is read only when its head has proved authentic, even if it has arrived already."""
BEGINNING = b"POST /"
END_OF_REQUEST_LINE = b" HTTP/1.1" + LINE_ENDS
SIZE = b"ength: "
"""What comes before the size of the body, however the name of its field is written."""
SIZE_LINE = b"\r\ncontent-length: "
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
"""More are not plain: they would be remembered. The usual ones have 200 bytes."""


class PlainFields(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The fields of a plain request around the size of its body: what a client sends with each of its requests."""

    before: bytes
    """From behind the target to the size."""
    after: bytes
    """From behind the size to the end of the head."""
    told: HeadFields
    """What they say."""


class PlainHead(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What plain requests have in common whose heads differ in address and size alone."""

    common: Common
    """Of their queries."""
    fields: PlainFields
    before: bytes
    """The request line up to the address."""
    end: bytes
    """The byte that ends the address."""
    middle: bytes
    """From there to the size."""
    after: bytes
    """From behind the size to the end of the head."""
    size: int
    """Bytes of all that."""


NO_FIELDS = PlainFields(b"\n", b"\n", HeadFields())
NO_HEAD = PlainHead(Common(b"", b"", "", "", "", ("", "", ""), False), NO_FIELDS, b"\n", b"\n", b"\n", b"\n", -1)
"""Of no request: nothing can be cut so, for its parts would be larger than it is."""


class PlainReader:
    """Reads plain requests. One serves a whole process."""

    def __init__(self) -> None:
        self._lately = NO_HEAD
        """Of the last request that had another head than the one before it."""

    def read(self, data: bytes) -> tuple[Query, HeadFields, bytes] | None:
        """What the plain request says that is all of `data`: its query, its fields and its body; None where it is
        anything else."""
        lately = self._lately
        # What does not begin so comes back as it is. It is only sooner to look: the sizes tell.
        if (target := data.removeprefix(lately.before)) is not data:
            address, _, rest = target.partition(lately.end)
            if (behind := rest.removeprefix(lately.middle)) is not rest:
                size, _, body = behind.partition(lately.after)
                length = len(body)
                if (
                    lately.size + len(address) + len(size) + length == len(data)
                    and length < len(_SIZES)
                    and size == _SIZES[length]
                    and 0 < len(address) <= MAX_ADDRESS_CHARS
                    and not address.strip(ADDRESS)
                ):
                    client_ip = address.decode()
                    return Query(lately.common, client_ip, client_ip), lately.fields.told, body
        return self._read_other(data)

    def _read_other(self, data: bytes) -> tuple[Query, HeadFields, bytes] | None:
        """The same of a request that has another head than the one before it: another query, most likely."""
        fields = self._lately.fields
        line, _, rest = data.partition(fields.before)
        size, _, body = rest.partition(fields.after)
        if not _is_size(size, body) or len(data) - len(body) > MAX_HEAD_BYTES:
            found = _found(data)
            if found is None:
                return None
            line, fields, body = found
        # The query comes last: it may cost the most, and must not be read for a head that the long way reads again.
        try:
            query = query_in(line)
        except UnicodeDecodeError:
            return None
        if not query.common.is_plain:
            return None
        if query.address:
            self._lately = _head(query.common, fields)
        return query, fields.told, body


read_plain = PlainReader().read


def _is_size(digits: bytes, body: bytes) -> bool:
    length = len(body)
    return digits == b"%d" % length and length <= ONE_PIECE_BYTES


def _found(data: bytes) -> tuple[bytes, PlainFields, bytes] | None:
    """The request line without its version, the fields and the body of a request that has other fields than the one
    before it."""
    line, _, rest = data.partition(END_OF_REQUEST_LINE)
    lines, _, body = rest.partition(BLANK_LINE)
    before, _, rest = lines.partition(SIZE)
    size, _, after = rest.partition(LINE_ENDS)
    head_bytes = len(data) - len(body)
    if not (
        _is_size(size, body)
        and head_bytes <= MAX_HEAD_BYTES
        and head_bytes - len(line) <= MAX_FIELDS_BYTES
        and line.startswith(BEGINNING)
    ):
        return None
    fields = _read_fields(before, after)
    return None if fields is None else (line, fields, body)


@lru_cache(MAX_REMEMBERED)
def _head(common: Common, fields: PlainFields) -> PlainHead:
    behind = common.after + fields.before
    size = len(common.before) + len(behind) + len(fields.after)
    return PlainHead(common, fields, common.before, behind[:1], behind[1:], fields.after, size)


@lru_cache(MAX_REMEMBERED)
def _read_fields(before: bytes, after: bytes) -> PlainFields | None:
    """What these fields say; None if they are not plain, or one of them comes twice.

    Args:
        before: what stands between the request line and SIZE.
        after: the lines behind that of the size, without the end of the last.
    """
    before = END_OF_REQUEST_LINE + before + SIZE
    after = LINE_ENDS + after + BLANK_LINE if after else BLANK_LINE
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
