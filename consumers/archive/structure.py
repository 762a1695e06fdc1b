"""Takes a line of a file of the archive apart that is no message by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

_HEAD = re.compile(rb'[\s\x00]*\{.*?"MsgList"\s*:\s*(?:\[|null)', re.DOTALL)
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NEXT = re.compile(rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+(["{}\[\]])', re.DOTALL)
"""Up to the next brace or bracket outside of strings, or the quote of a string that does not end."""
_BETWEEN = b" \t\r\n\x00,"


class FileHead(msgspec.Struct):
    """What a file says of itself before its list."""

    app_id: int | str | None = msgspec.field(name="SdkAppId", default=None)
    chat_type: str | None = msgspec.field(name="ChatType", default=None)
    msg_time: int | str | None = msgspec.field(name="MsgTime", default=None)


@dataclass
class Pieces:
    """What a text consists of."""

    found: list[bytes] = field(default_factory=list)
    """JSON objects, as far as their braces tell, and what stands between them and should not."""
    list_ended: bool = False
    """Whether the end of the list was among it."""
    taken: int = 0
    """Bytes; behind it an object begins that does not end within the text."""


class FoundHead(NamedTuple):
    """The head that a text begins with."""

    head: FileHead | str
    """What it says, or why it cannot be read."""
    length: int


def read_head(text: bytes) -> FoundHead | None:
    """The head that a text begins with; None: it begins with none."""
    found = _HEAD.match(text)
    if found is None or b'"From_Account"' in found[0]:  # Else the list would be one within a message.
        return None
    whole = found[0].lstrip(_BETWEEN) + (b"]}" if found[0].endswith(b"[") else b"}")
    try:
        return FoundHead(msgspec.json.decode(whole, type=FileHead), found.end())
    except (ValueError, RecursionError) as error:
        return FoundHead(str(error), found.end())


def take_apart(text: bytes, *, is_whole: bool) -> Pieces:
    """The objects of a text without ends of line.

    Args:
        text: begins outside of any object.
        is_whole: whether nothing follows: then an object that does not end is a piece too.
    """
    pieces = Pieces()
    depth = position = 0
    while token := _NEXT.match(text, position):  # No search, which would begin again at each byte of what has no end.
        position = token.end()
        match token[1]:
            case b'"':
                break  # A string that does not end.
            case b"{" | b"[":
                if depth == 0:
                    _take_between(pieces, text, token.start(1))
                depth += 1
            case b"}" | b"]" if depth:
                depth -= 1
                if depth == 0:
                    pieces.found.append(text[pieces.taken : token.end()])
                    pieces.taken = token.end()
            case b"}" | b"]":
                pieces.list_ended = True
                _take_between(pieces, text, token.start(1))
                pieces.taken = token.end()
    if is_whole:
        _take_between(pieces, text, len(text))
    return pieces


def is_deeper(text: bytes, levels: int) -> bool:
    """Whether a text opens more than so many braces and brackets at a time; those in its strings do not count."""
    if text.count(b"{") + text.count(b"[") <= levels:
        return False
    depth = position = 0
    while token := _NEXT.match(text, position):
        position = token.end()
        if token[1] == b'"':
            break
        depth += 1 if token[1] in b"{[" else -1
        if depth > levels:
            return True
    return False


def _take_between(pieces: Pieces, text: bytes, end: int) -> None:
    if between := text[pieces.taken : end].strip(_BETWEEN):
        pieces.found.append(between)
    pieces.taken = end
