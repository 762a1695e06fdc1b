"""Takes a line of a file of the archive apart that is no message by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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


def read_head(text: bytes) -> tuple[FileHead, int] | None:
    """The head that a text begins with, and its length; None: it begins with none.

    Raises:
        ValueError: its form is that of a head, but it is no JSON or has other types.
    """
    found = _HEAD.match(text)
    if found is None:
        return None
    whole = found[0].lstrip(_BETWEEN) + (b"]}" if found[0].endswith(b"[") else b"}")
    return msgspec.json.decode(whole, type=FileHead), found.end()


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


def _take_between(pieces: Pieces, text: bytes, end: int) -> None:
    if between := text[pieces.taken : end].strip(_BETWEEN):
        pieces.found.append(between)
    pieces.taken = end
