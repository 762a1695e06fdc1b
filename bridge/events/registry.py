"""Which callback becomes which event: one entry for each command, derived from the classes in `bridge.events`.

To document a callback, add a class to the module of its family there. A new module must be imported in
`bridge/events/__init__.py`, a class of a family that is a folder must be exported in its `__init__`, and the command
belongs into the list of `tests/events/test_registry.py`. Which answer the platform wants to a callback that has no
class yet is guessed here, from its name.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import msgspec

from bridge.events import DATA_TYPES, Callback, Data, Reply
from bridge.events.exactness import Exactness, exactness_of
from bridge.events.getters import Identity, identity_getter, missing_getter, path_getter, subject_getter
from bridge.events.introspection import Field, fields_along, fields_of, is_verbatim
from bridge.events.strict import Body, builder, has_two_forms, strict_class


@dataclass(frozen=True, slots=True)
class Entry:
    """How the body of one command is read."""

    callback: Callback
    data: type[Data]
    fields: tuple[Field, ...]
    is_verbatim: bool
    """Whether parts of the body are passed on whatever they hold."""
    body: type[Body]
    """Every documented form of it."""
    decode: Callable[[bytes], Body]
    """Reads exactly the documented form; anything else raises and is read field by field."""
    build: Callable[[Body], Data]
    """The same under our names and types."""
    wide: Entry | None
    """The same command, read in either documented form of its values; None where they have one only."""
    time: Callable[[Data], Any] | None
    """Reads the time of the event off the data, where that has it; it counts where the body has no EventTime."""
    subject: Callable[[Data], str | None]
    identity: Identity
    exactness: Exactness
    """What the reference says of the identity."""
    missing: Callable[[Data], Sequence[str]]
    """The platform's names of the fields that are absent and should not be."""


def _entry(data: type[Data]) -> Entry:
    fields = fields_of(data)
    narrow = typing.cast(type[Body], strict_class(data))
    wide = typing.cast(type[Body], strict_class(data, is_wide=True))
    time = data.callback.time
    entry = Entry(
        callback=data.callback,
        data=data,
        fields=fields,
        is_verbatim=is_verbatim(data),
        body=wide,
        decode=_decoder(narrow, time),
        build=builder(data),
        wide=None,
        time=path_getter(time) if time else None,
        subject=subject_getter(data.callback.subject),
        identity=identity_getter(data),
        exactness=exactness_of(data),
        missing=missing_getter(data),
    )
    if not has_two_forms(data):
        return entry
    return replace(entry, wide=replace(entry, decode=_decoder(wide, time), build=builder(data, is_wide=True)))


def _decoder(body: type[Body], time: str) -> Callable[[bytes], Body]:
    decode = msgspec.json.Decoder(body).decode
    if not time:
        return decode
    get_time = path_getter(time)

    def decode_with_time(raw: bytes) -> Body:
        strict = decode(raw)
        if strict.event_time is not None:
            return strict
        return msgspec.structs.replace(strict, event_time=get_time(strict))

    return decode_with_time


@cache
def complete_decoder(data: type[Data]) -> Callable[[bytes], Body]:
    """As `Entry.decode` of these data, but it refuses a body of which `Entry.missing` would name a field."""
    body = typing.cast(type[Body], strict_class(data, is_complete=True))
    return _decoder(body, data.callback.time)


ENTRIES: tuple[Entry, ...] = tuple(_entry(data) for data in DATA_TYPES.values())
"""Every command that has an entry."""


def _names(entry: Entry) -> Iterator[tuple[str, Entry]]:
    """Each name under which it comes, and what is known of a callback of that name."""
    callback = entry.callback
    yield callback.command, entry
    for alias in callback.aliases:
        yield alias, _renamed(entry, alias) if callback.keeps_aliases else entry


def _renamed(entry: Entry, command: str) -> Entry:
    wide = _renamed(entry.wide, command) if entry.wide else None
    return replace(entry, callback=entry.callback._replace(command=command), wide=wide)


_by_command = {name: named for entry in ENTRIES for name, named in _names(entry)}
_by_lower_case = {command.lower(): entry for command, entry in _by_command.items()}


def find(command: str) -> Entry | None:
    """The entry of a command, whatever its case; None where the platform's documentation had none yet."""
    return _by_command.get(command) or _by_lower_case.get(command.lower())


_printed_under = {entry.callback.printed_under: entry for entry in ENTRIES if entry.callback.printed_under}


def told_by_fields(entry: Entry, names: Collection[str]) -> Entry:
    """The entry of a body that came under this one's command: another, where the documentation prints it there too.

    Args:
        entry: the command in the URL.
        names: the platform's names of the fields of the body.
    """
    other = _printed_under.get(entry.callback.command)
    if other is None:
        return entry
    present = {name.lower() for name in names}
    own = {field.tencent.lower() for field in entry.fields} - {field.tencent.lower() for field in other.fields}
    return entry if other.callback.told_by.lower() not in present or own & present else other


def is_before(command: str) -> bool:
    """Whether the platform waits for our verdict before it goes on: its reply must never block a user."""
    entry = find(command)
    if entry is not None:
        return entry.callback.is_before
    return command.lower().partition(".")[2].startswith(("callbackbefore", "callbackprev"))


def awaits_answer(command: str) -> bool:
    """Whether the platform does as we answer: a before-callback, or one that wants data."""
    entry = find(command)
    return entry.callback.awaits_answer if entry else is_before(command)


def wants_data(command: str) -> bool:
    """Whether the platform wants data of the app, which it hands on."""
    entry = find(command)
    return entry is not None and entry.callback.reply is Reply.DATA


def wants_error_message(command: str) -> bool:
    """Whether the answer has `ErrorMessage`, as that of the old webhooks of calls and rooms, and is repeated on a code
    that is not 0. Theirs are the only commands without a dot."""
    entry = find(command)
    return entry.callback.reply is Reply.ERROR_MESSAGE if entry else bool(command) and "." not in command


def wants_each(command: str) -> bool:
    """Whether the platform wants a verdict on each account that a before-callback asks about."""
    entry = find(command)
    return entry.callback.reply is Reply.ALLOW_EACH if entry else command.lower().startswith("sns.")


def can_drop(command: str) -> bool:
    """Whether `ErrorCode` 2 as the answer to a before-callback drops a message so that its sender does not see it."""
    entry = find(command)
    return entry.callback.answers.can_drop if entry else command.lower().endswith(".callbackbeforesendmsg")


def label(command: str) -> str:
    """A command as the label of a metric and in logs: `other` where it has no entry, but is the sender's choice."""
    entry = find(command)
    return entry.callback.command if entry else "other"


def platform_path(entry: Entry, path: str) -> Iterator[str]:
    """The platform's names along a path of ours: `friend_item.to_account` is `FriendItem`, `To_Account`."""
    for field in fields_along(entry.data, path):
        yield field.tencent
