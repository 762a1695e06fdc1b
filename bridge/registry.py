"""Which callback becomes which event: one entry per command, derived from the classes in `bridge.events`.

To add a command, add a class there; nothing else names a command.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.events import DATA_TYPES, UNKNOWN_TYPE, Callback, Data
from bridge.events.contract import Part

ENVELOPE_FIELDS = ("CallbackCommand", "EventTime")
"""Fields of a body that become attributes of the event instead of fields of its data."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the derived classes that read a body: every documented field under the platform's name, and no other."""

    callback_command: str | None = msgspec.field(name="CallbackCommand", default=None)
    event_time: int | str | None = msgspec.field(name="EventTime", default=None)


@dataclass(frozen=True)
class Entry:
    """How the body of one command is read."""

    callback: Callback
    data: type[Data]
    body: type[Body]
    read: msgspec.json.Decoder[Any]
    """Decodes exactly the documented form; anything else raises and is read field by field."""


@dataclass(frozen=True)
class Field:
    """A documented field of an object in a body."""

    tencent: str
    """The platform's name."""
    name: str
    """Our name."""
    type: Any
    """Without None: `str`, `int`, `bool`, a `Part`, `list[…]`, `Any`."""
    meaning: str


def fields_of(part: type[Part]) -> list[Field]:
    """The documented fields of an object, in the order of the class."""
    found = []
    for name, annotation in typing.get_type_hints(part, include_extras=True).items():
        meta = next((item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, msgspec.Meta)), None)
        if meta is not None and meta.extra:
            alternatives = [item for item in typing.get_args(typing.get_args(annotation)[0]) if item is not type(None)]
            found.append(Field(meta.extra["tencent"], name, alternatives[0], meta.description or ""))
    return found


def _strict(part: type[Part], base: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The class that reads `part` under the platform's names and refuses any other field."""
    fields = [(field.name, _strict_type(field.type) | None, None) for field in fields_of(part)]
    names = {field.name: field.tencent for field in fields_of(part)}
    return msgspec.defstruct(
        part.__name__, fields, bases=(base,), rename=names.get, frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def _strict_type(declared: Any) -> Any:
    if declared is bool:
        return int
    if typing.get_origin(declared) is list:
        return list[_strict_type(typing.get_args(declared)[0])]  # type: ignore[misc]
    if isinstance(declared, type) and issubclass(declared, Part):
        return _strict(declared, msgspec.Struct)
    return declared


def _entry(data: type[Data]) -> Entry:
    body = typing.cast(type[Body], _strict(data, Body))
    return Entry(data.callback, data, body, msgspec.json.Decoder(body))


_entries = {data.callback.command.lower(): _entry(data) for data in DATA_TYPES.values()}


def find(command: str) -> Entry | None:
    """The entry of a command, whatever its case; None where the platform's documentation had none yet."""
    return _entries.get(command.lower())


def is_before(command: str) -> bool:
    """Whether the platform waits for our verdict before it goes on: its reply must never block a user."""
    return command.partition(".")[2].startswith(("CallbackBefore", "CallbackPrev"))


__all__ = ["ENVELOPE_FIELDS", "UNKNOWN_TYPE", "Body", "Entry", "Field", "fields_of", "find", "is_before"]
