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
from typing import Any, NamedTuple

import orjson

from bridge.normalize.bounds import MAX_DEPTH, MAX_EXPONENTS, SMALL_BYTES, excess

MAX_HALVES = 10_000
"""So many halves of surrogate pairs, each encoded by itself, are put together again; and so many may be alone in a body
in UTF-16. It takes a microsecond each."""

_LONG = b"0" * 19
_OUTLINE = bytes(ord("0") if byte in b"0123456789" else ord("[") if byte in b"[{" else 0x20 for byte in range(256))
"""All digits become one digit, and all opening brackets one bracket, so that fast searches find them."""
_EXPONENTS = bytes(ord("0") if byte in b"0123456789" else ord("e") if byte in b"eE" else 0x20 for byte in range(256))
_ENCODED_HALF = bytes(0xED if byte == 0xED else 0xA0 if 0xA0 <= byte <= 0xBF else 0 for byte in range(256))
"""Half of a surrogate pair, encoded by itself, is ED and then a byte from A0 to BF, and another."""
_UTF16_HALF = bytes(
    ord("<") if 0xD8 <= byte <= 0xDB else ord(">") if 0xDC <= byte <= 0xDF else 0x20 for byte in range(256)
)
"""Of the upper bytes of UTF-16: those of first halves of surrogate pairs, and of second ones."""
_HALF = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89abABc-fC-F]")


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
    """Whether a strict reader loses nothing and nobody is in trouble: no long number, nothing deep, not too much."""
    outline = body.translate(_OUTLINE)
    if _LONG in outline or (len(body) > MAX_EXPONENTS and _long_exponents(body) > MAX_EXPONENTS):
        return False
    return (len(body) <= SMALL_BYTES and outline.count(b"[") <= MAX_DEPTH) or excess(body) is None


def _long_exponents(body: bytes) -> int:
    """No fewer than the numbers that have an exponent of three digits, for which msgspec takes 10 us each."""
    return body.translate(_EXPONENTS, b"+-").count(b"e000")


def check_bounds(body: bytes) -> None:
    """See to it that reading a body in UTF-8 takes no longer than it may.

    Raises:
        UnreadableError: it is nested too deeply, or holds too many values.
    """
    if (found := excess(body)) is not None:
        raise UnreadableError(found.reason, found.message)


def load(body: bytes) -> Loaded:
    """Read the object of a body.

    Raises:
        UnreadableError: it is empty, not JSON, not an object, nested too deeply, or holds too many values.
    """
    is_utf16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if is_utf16:
        body = _utf8(body)
    check_bounds(body)
    try:
        fields, is_strict = orjson.loads(body), True
    except orjson.JSONDecodeError:
        fields, is_strict = None, False
    repaired = False
    if not is_strict or _LONG in body.translate(_OUTLINE):
        fields, repaired = _load_laxly(body)
    if not isinstance(fields, dict):
        raise UnreadableError("not_an_object", f"the body is a JSON {type(fields).__name__}, not an object")
    return Loaded(fields, repaired or is_utf16 or not is_strict)


def _utf8(body: bytes) -> bytes:
    """A body in UTF-16, with its byte order mark, in UTF-8.

    Raises:
        UnreadableError: it holds so many halves of surrogate pairs that nobody meant it as text.
    """
    first = 1 if body.startswith(codecs.BOM_UTF16_LE) else 0
    kinds = body[first::2].translate(_UTF16_HALF)
    if kinds.count(b"<") + kinds.count(b">") - 2 * kinds.count(b"<>") > MAX_HALVES:
        raise UnreadableError("not_json", f"the body is UTF-16 with more than {MAX_HALVES} halves of surrogate pairs")
    return body.decode("utf-16", "replace").encode()


def dump(value: Any) -> bytes:
    """What `load` read, as strict JSON."""
    return orjson.dumps(value)


def _load_laxly(body: bytes) -> tuple[Any, bool]:
    text = _decode(body).strip("\ufeff\x00 \t\r\n")
    if not text:
        raise UnreadableError("empty", "the body is empty")
    mender = _Mender()
    decoder = json.JSONDecoder(
        strict=False, parse_int=mender.whole, parse_float=mender.fraction, parse_constant=mender.constant
    )
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableError("not_json", f"the body is no JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise UnreadableError("too_deep", "the body is nested too deeply") from error
    if _HALF.search(text) or _ESCAPED_HALF.search(text):
        value = mender.mend(value)
    return value, mender.has_mended


def _decode(body: bytes) -> str:
    halves = body.translate(_ENCODED_HALF).count(b"\xed\xa0") if b"\xed" in body else 0
    if 0 < halves <= MAX_HALVES:
        try:
            # Some writers encode each half of a surrogate pair by itself.
            text = body.decode("utf-8", "surrogatepass")
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        except UnicodeDecodeError:
            pass
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
        if text.isascii():
            return text
        mended, halves = _HALF.subn("\ufffd", text)
        self.has_mended |= halves > 0
        return mended
