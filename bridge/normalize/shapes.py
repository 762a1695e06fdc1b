"""What may be shown of a body that differs from the documentation: names and types, nothing that a user wrote.

Values never are. Names are, where they cannot well be values. In the objects that are documented only the platform
writes names, so any identifier is shown there. Inside of what nobody has documented an object may have accounts for its
names, or texts: there a name is shown that is made of words of the documentation, as `RoomMode` or `Peer_Account`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from bridge.events import names
from common.text import plural

HIDDEN_NAME = "<hidden name>"
"""Stands for a name that may be a value."""
MAX_NAME_CHARS = 80
MAX_COMMAND_CHARS = 80
MAX_DIGITS = 3
"""More digits make a number of something, such as an account, of what would be a name."""
MAX_SHAPE_CHARS = 600
"""The largest object that is documented has about 20 fields, which need some 500."""
MAX_DEPTH = 3
"""Levels of lists and objects that are shown."""
MAX_FIELDS = 50
"""More fields of an object would not fit in."""

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z][A-Za-z0-9]*)*")
"""Each part begins with a letter: what is like `user_7` is likely an account."""
_COMMAND = re.compile(r"[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9]*")
"""A family and a name, as the platform writes all that it has made since years: `Group.CallbackAfterSendMsg`."""
_OLD_COMMAND = re.compile(r"[a-z]+(?:_[a-z]+|[A-Z][a-z]+)*")
"""As the old webhooks write them: `caller_start_call`, `createRoom`."""
_OLD_WORD = re.compile(r"[A-Z]?[a-z]+")
_WORDS = re.compile(r"(?:[A-Z][a-z0-9]*)+")
"""What the platform makes names of, with underscores between: `GroupMsg`, `C2C`, `URL`."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+")
_SHORT_DIGITS = re.compile(r"[0-9]{1,20}")
_DIGIT = re.compile(r"[0-9]")


def field_name(name: str) -> str:
    """The undocumented name of a field of a documented object, as it may be shown."""
    return name if _is_short_identifier(name, _IDENTIFIER, MAX_NAME_CHARS) else HIDDEN_NAME


def command_name(command: str) -> str:
    """A command that is not documented, and so may be any text, as it may be shown.

    One word, or several, may be an account as well: they are shown where old webhooks have commands of such words.
    """
    if _is_short_identifier(command, _COMMAND, MAX_COMMAND_CHARS):
        return command
    is_old = _is_short_identifier(command, _OLD_COMMAND, MAX_COMMAND_CHARS) and _old_words(command) <= _old_vocabulary()
    return command if is_old else HIDDEN_NAME


def shape_of(value: Any) -> str:
    """The shape of a value: names and types, of bounded length. It takes no longer for a large one."""
    shown = ""
    for part in _parts(value, 0):
        shown += part
        if len(shown) > MAX_SHAPE_CHARS:
            return f"{shown[: MAX_SHAPE_CHARS - 1]}…"
    return shown


def _parts(value: Any, depth: int) -> Iterator[str]:
    match value:
        case None:
            yield "null"
        case bool():
            yield "<boolean>"
        case int():
            yield "<integer>"
        case float():
            yield "<number>"
        case str():
            yield f"<text of {plural(len(value), 'digit') if _SHORT_DIGITS.fullmatch(value) else len(value)}>"
        case list() if not value or depth >= MAX_DEPTH:
            yield f"<list of {len(value)}>"
        case list():
            yield "["
            yield from _parts(value[0], depth + 1)
            yield "]" if len(value) == 1 else ", …]"
        case dict() if depth >= MAX_DEPTH:
            yield f"<object of {len(value)}>"
        case dict():
            yield from _object(value, depth)
        case _:
            yield f"<{type(value).__name__}>"


def _object(fields: dict[str, Any], depth: int) -> Iterator[str]:
    """Names and shapes. Of the hidden names the first one stands for all, as in an object of accounts."""
    yield "{"
    separator, has_hidden = "", False
    for name, value in islice(fields.items(), MAX_FIELDS):
        shown = _inner_name(name)
        if shown == HIDDEN_NAME and has_hidden:
            continue
        has_hidden = has_hidden or shown == HIDDEN_NAME
        yield f"{separator}{shown}: "
        yield from _parts(value, depth + 1)
        separator = ", "
    yield "}" if len(fields) <= MAX_FIELDS else ", …}"


def _inner_name(name: str) -> str:
    """A name inside of what is not documented, as it may be shown."""
    if len(name) > MAX_NAME_CHARS:
        return HIDDEN_NAME
    documented, words = _vocabulary()
    if name in documented:
        return name
    parts = name.split("_")
    if not all(map(_WORDS.fullmatch, parts)) or len(_DIGIT.findall(name)) > MAX_DIGITS:
        return HIDDEN_NAME
    known = [word in words for word in _WORD.findall(name)]
    # With an underscore people name accounts, as in `User_Ann`; without one a new word among known ones is a new field.
    return name if (all(known) if len(parts) > 1 else any(known)) else HIDDEN_NAME


@cache
def _vocabulary() -> tuple[frozenset[str], frozenset[str]]:
    """All documented names, and the words that they are made of."""
    documented = names.fields()
    return documented, frozenset(word for name in documented for word in _WORD.findall(name) if len(word) > 1)


def _old_words(command: str) -> set[str]:
    return {word.lower() for word in _OLD_WORD.findall(command)}


@cache
def _old_vocabulary() -> frozenset[str]:
    """What the commands of old webhooks are made of."""
    return frozenset(word for command in names.commands("*") if "." not in command for word in _old_words(command))


def _is_short_identifier(text: str, form: re.Pattern[str], most_chars: int) -> bool:
    return len(text) <= most_chars and form.fullmatch(text) is not None and len(_DIGIT.findall(text)) <= MAX_DIGITS
