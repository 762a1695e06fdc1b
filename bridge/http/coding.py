"""What a head says of the body behind it: whether it can be read, and how it is compressed."""

from __future__ import annotations

import zlib

from aiohttp import hdrs
from aiohttp.http_parser import RawRequestMessage
from multidict import MultiMapping

from bridge.ingress import refusals
from bridge.ingress.refusals import RefusedError

CONTINUE = "100-continue"
IDENTITY = "identity"
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
    elif hdrs.TRANSFER_ENCODING in headers:
        raise RefusedError(refusals.TRANSFER_CODING)
    elif hdrs.CONTENT_LENGTH not in headers:
        raise RefusedError(refusals.LENGTH_REQUIRED)
    if hdrs.EXPECT in headers and any(one != CONTINUE for one in _listed(headers, hdrs.EXPECT)):
        raise RefusedError(refusals.EXPECTATION)
    return _content_coding(headers) if hdrs.CONTENT_ENCODING in headers else ""


def _content_coding(headers: MultiMapping[str]) -> str:
    codings = [coding for coding in _listed(headers, hdrs.CONTENT_ENCODING) if coding != IDENTITY]
    match codings:
        case []:
            return ""
        case ["gzip" | "x-gzip"]:
            return "gzip"
        case ["deflate"]:
            return "deflate"
    raise RefusedError(refusals.CONTENT_CODING)


def _listed(headers: MultiMapping[str], name: str) -> list[str]:
    """The elements of all fields of that name, in their order and in lower case (RFC 9110, section 5.3)."""
    elements = (element.strip().lower() for value in headers.getall(name) for element in value.split(","))
    return [element for element in elements if element]


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
