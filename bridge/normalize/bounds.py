"""How much one body may hold: what it costs the event loop, on which all others wait, must be bounded.

A body is not signed: whoever has seen one authentic URL can send any. The costly ones are not the long ones but those
of many small parts, for each of which there is work in Python. So parts are counted before anything is made of them, by
searches that take a millisecond for a mebibyte. What has too many becomes a dead letter, as it came.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

MAX_DEPTH = 128
"""Deepest nesting that is accepted: common readers refuse what is nested a few hundred levels deep."""
MAX_VALUES = 20_000
"""Most values of a body: objects, lists, and what they hold. The largest that is documented, the end of a group of
6,000 members, has 12,000. At a microsecond or two for each it takes some 10 ms to read."""
SMALL_BYTES = 2 * MAX_VALUES
"""A shorter body cannot hold more values than that, for each takes two bytes."""

MAX_EXPONENTS = 1000
"""Most numbers with long exponents that are left to the strict reader, which is slow with them."""

_OPENING = bytes(ord("[") if byte in b"[{" else byte for byte in range(256))
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class Excess(NamedTuple):
    """What a body has too much of."""

    reason: str
    """A short code."""
    message: str


TOO_DEEP = Excess("too_deep", f"the body is nested more than {MAX_DEPTH} levels deep")
TOO_MANY = Excess("too_many_values", f"the body holds more than {MAX_VALUES} values")


def excess(body: bytes) -> Excess | None:
    """What a body in UTF-8, JSON or not, has too much of; None if nothing. Never more than some milliseconds' work."""
    opening = body.translate(_OPENING).count(b"[")
    is_small = len(body) <= SMALL_BYTES
    if opening <= MAX_DEPTH and (is_small or opening + body.count(b",") <= MAX_VALUES):
        return None
    # A text may hold as many brackets and commas as it likes.
    outside = _outside_texts(body)
    if outside is None:
        return TOO_MANY
    brackets = outside.translate(None, _NOT_BRACKETS)
    if any(depth > MAX_DEPTH for depth in accumulate(map(_STEPS.__getitem__, brackets[: 2 * MAX_VALUES]))):
        return TOO_DEEP
    opening = brackets.count(b"[") + brackets.count(b"{")
    return TOO_MANY if opening + outside.count(b",") > MAX_VALUES else None


def _outside_texts(body: bytes) -> bytes | None:
    """The body without its texts; None where it has too many of them."""
    body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A value has two texts at most, its name and itself, of two quotes each.
    if body.count(b'"') > 4 * MAX_VALUES:
        return None
    return b"".join(body.split(b'"')[::2])
