"""Reads the JSON of a body, strictly where possible, and mends what only a lax reader can read.

| in the body | becomes |
| --- | --- |
| half of a surrogate pair, as a cut emoji leaves it | U+FFFD |
| bytes that are not UTF-8 | U+FFFD |
| a whole number beyond 64 bits | a string of its digits |
| `NaN`, `Infinity`, a number beyond what a double holds | a string of its text |
| a byte order mark, NULs and white space around the object | nothing |
| raw control characters in strings | the same, escaped |
| a name twice in one object | the last one, as every reader has it; that is no repair |
"""

from __future__ import annotations

import codecs
import json
import math
import re
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

MAX_DEPTH = 128
"""Deepest nesting that is accepted: common readers refuse what is nested a few hundred levels deep."""

_LONG = b"0" * 19
_OUTLINE = bytes(ord("0") if byte in b"0123456789" else ord("[") if byte in b"[{" else 0x20 for byte in range(256))
"""All digits become one digit, and all opening brackets one bracket, so that fast searches find them."""
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class UnreadableError(Exception):
    """The body cannot become an event. `reason` is a short code, the message says what is wrong with the body."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Loaded(NamedTuple):
    """The object of a body."""

    fields: dict[str, Any]
    repaired: bool
    """Whether the body was no strict JSON, or held a number that not every reader takes."""


def is_plain(body: bytes) -> bool:
    """Whether a strict reader loses nothing and no later one is in trouble: no long number, no deep nesting."""
    outline = body.translate(_OUTLINE)
    return outline.count(b"[") <= MAX_DEPTH and _LONG not in outline


def load(body: bytes) -> Loaded:
    """Read the object of a body.

    Raises:
        UnreadableError: it is empty, not JSON, not an object, or nested too deeply.
    """
    outline = body.translate(_OUTLINE)
    if outline.count(b"[") > MAX_DEPTH and _is_deep(body):
        raise UnreadableError("too_deep", f"the body is nested more than {MAX_DEPTH} levels deep")
    try:
        fields, is_strict = orjson.loads(body), True
    except orjson.JSONDecodeError:
        fields, is_strict = None, False
    repaired = False
    if not is_strict or _LONG in outline:
        fields, repaired = _load_laxly(body)
    if not isinstance(fields, dict):
        raise UnreadableError("not_an_object", f"the body is a JSON {type(fields).__name__}, not an object")
    return Loaded(fields, repaired or not is_strict)


def dump(value: Any) -> bytes:
    """What `load` read, as strict JSON."""
    return orjson.dumps(value)


def _is_deep(body: bytes) -> bool:
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    return any(depth > MAX_DEPTH for depth in accumulate(map(_STEPS.__getitem__, brackets)))


def _load_laxly(body: bytes) -> tuple[Any, bool]:
    text = _decode(body).strip("\ufeff\x00 \t\r\n")
    if not text:
        raise UnreadableError("empty", "the body is empty")
    mender = _Mender()
    decoder = json.JSONDecoder(
        strict=False, parse_int=mender.whole, parse_float=mender.fraction, parse_constant=mender.constant
    )
    try:
        return mender.mend(decoder.decode(text)), mender.has_mended
    except json.JSONDecodeError as error:
        raise UnreadableError("not_json", f"the body is no JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise UnreadableError("too_deep", "the body is nested too deeply") from error


def _decode(body: bytes) -> str:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace")
    try:
        # Some writers encode each half of a surrogate pair by itself.
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")


class _Mender:
    """Replaces the values that strict JSON cannot hold."""

    def __init__(self) -> None:
        self.has_mended = False

    def whole(self, text: str) -> int | str:
        """A number without fraction or exponent."""
        if len(text) <= 20 and -(2**63) <= (number := int(text)) < 2**64:
            return number
        self.has_mended = True
        return text

    def fraction(self, text: str) -> float | str:
        """A number with fraction or exponent."""
        number = float(text)
        return number if math.isfinite(number) else self.constant(text)

    def constant(self, text: str) -> str:
        """`NaN`, `Infinity` or `-Infinity`."""
        self.has_mended = True
        return text

    def mend(self, value: Any) -> Any:
        """The same value, with all of its texts valid Unicode."""
        if isinstance(value, str):
            return self._mend_text(value)
        if isinstance(value, dict):
            return {self._mend_text(name): self.mend(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.mend(item) for item in value]
        return value

    def _mend_text(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            self.has_mended = True
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text
