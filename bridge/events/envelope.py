"""What the envelopes of all events are made of, whoever makes them: id, texts that may be attributes, content type."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any

import msgspec

EVENT_CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
"""A header of the record of every event, and of nearly all the only one but its number."""
MAX_ATTRIBUTE_CHARS = 256

_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
"""What CloudEvents forbids in text (controls, halves of surrogate pairs, noncharacters), and what ends a line."""

_packer = msgspec.msgpack.Encoder()
pack_into = _packer.encode_into
"""Writes the values that make an event unique into a buffer: see `id_of_packed`."""
_hash_of_nothing = hashlib.blake2b(digest_size=16)
"""To copy one takes a quarter less than to make it and hash."""


def check_schema_base(base: str) -> str:
    """See that a text can be what `dataschema` begins with, and give it back.

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!#$%&'()*+,./0-9:;=?@A-Z_a-z~\[\]-]*[/:#=]", base):
        raise ValueError(
            f"{base!r} is no beginning of a URI: write a scheme, and end with what stands before a name,"
            " as in https://example.org/schemas/"
        )
    return base


def event_id(values: tuple[Any, ...]) -> str:
    """The id of the event that has these values and no other has, as 32 hexadecimal digits."""
    # MessagePack puts the length in front of each value: ("ab", "c") and ("a", "bc") must differ.
    return id_of_packed(_packer.encode(values))


def id_of_packed(packed: bytes | bytearray) -> str:
    """The same of values that `pack_into` has written."""
    hashed = _hash_of_nothing.copy()
    hashed.update(packed)
    return hashed.hexdigest()


def attribute(text: str) -> str | None:
    """`text` as the value of an attribute: valid Unicode, no control characters, of bounded length; None if empty."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_ATTRIBUTE_CHARS:
        return text or None
    valid = text[:MAX_ATTRIBUTE_CHARS].encode(errors="replace").decode()
    return "".join(character if character.isprintable() else "\ufffd" for character in valid)


def is_attribute(text: str) -> bool:
    """Whether it may be the value of an attribute as it is."""
    return attribute(text) == text


def is_subject(text: str) -> bool:
    """Whether it may be the subject of an event, and so the key of its record.

    No account and no group is named otherwise. Keys are held in memory, and printed by tools that escape nothing.
    """
    if len(text) > MAX_ATTRIBUTE_CHARS:
        return False
    return (text.isascii() and text.isprintable()) or not _FORBIDDEN.search(text)


@lru_cache(maxsize=256)
def platform(text: str) -> str | None:
    """OptPlatform as the attribute `platform`: lower case, None if empty."""
    return attribute(text.lower())
