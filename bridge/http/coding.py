"""What a head says of the body behind it: whether it can be read, and how it is compressed."""

from __future__ import annotations

import zlib

from aiohttp import hdrs
from aiohttp.http_parser import RawRequestMessage

from bridge.ingress import refusals
from bridge.ingress.refusals import RefusedError

GZIP = frozenset(("gzip", "x-gzip"))
DEFLATE = "deflate"
IDENTITY = frozenset(("", "identity"))
MAX_MEMBERS = 16
"""Most parts of a gzip stream, each of which has to be begun anew."""


def coding_of(message: RawRequestMessage) -> str:
    """How the body is compressed: `gzip`, `deflate`, or an empty string.

    Raises:
        RefusedError: the head asks for what we cannot do.
    """
    headers = message.headers
    if message.chunked:
        if headers[hdrs.TRANSFER_ENCODING].lower() != "chunked":
            raise RefusedError(refusals.TRANSFER_CODING)
    elif hdrs.CONTENT_LENGTH not in headers:
        raise RefusedError(refusals.LENGTH_REQUIRED)
    if headers.get(hdrs.EXPECT, "100-continue").lower() != "100-continue":
        raise RefusedError(refusals.EXPECTATION)
    coding = headers.get(hdrs.CONTENT_ENCODING)
    if coding is None or (coding := coding.strip().lower()) in IDENTITY:
        return ""
    if coding in GZIP:
        return "gzip"
    if coding != DEFLATE:
        raise RefusedError(refusals.CONTENT_CODING)
    return coding


def inflate(body: bytes, coding: str, *, max_bytes: int) -> bytes:
    """The body as it was before it was compressed.

    Args:
        body: as it came.
        coding: `gzip` or `deflate` (RFC 9110, section 8.4.1; many senders leave out the envelope of the latter).
        max_bytes: most that it may become. Not more than one byte beyond that is ever unpacked.

    Raises:
        RefusedError: it becomes too large, or is broken.
    """
    if coding == "gzip":
        window = zlib.MAX_WBITS | 16
    else:
        window = zlib.MAX_WBITS if body[:1] and body[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
    content = b""
    try:
        for _ in range(MAX_MEMBERS):
            member = zlib.decompressobj(window)
            content += member.decompress(body, max_bytes + 1 - len(content))
            if len(content) > max_bytes:
                raise RefusedError(refusals.too_large(max_bytes))
            body = member.unused_data
            if not member.eof:
                break
            if not body:
                return content
    except zlib.error as error:
        raise RefusedError(refusals.BROKEN_BODY) from error
    raise RefusedError(refusals.BROKEN_BODY)
