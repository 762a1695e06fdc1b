"""Which callback becomes which event: one entry per command, derived from the classes in `bridge.events`.

To add a command, add a class there; nothing else names a command.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from bridge.events import DATA_TYPES, UNKNOWN_TYPE, Callback, Data, Part

ENVELOPE_FIELDS = ("CallbackCommand", "EventTime")
"""Fields of a body that become attributes of the event instead of fields of its data."""

SmallInt = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What every JSON reader takes for a whole number."""
Flag = bool | Annotated[int, msgspec.Meta(ge=0, le=1)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of the derived classes that read a body: every documented field under the platform's name, and no other."""

    callback_command: str | None = msgspec.field(name="CallbackCommand", default=None)
    event_time: SmallInt | str | None = msgspec.field(name="EventTime", default=None)


@dataclass(frozen=True, slots=True)
class Field:
    """A documented field of an object in a body."""

    tencent: str
    """The platform's name."""
    others: tuple[str, ...]
    """Names that other versions of the documentation have for it."""
    name: str
    """Our name."""
    type: Any
    """Without None: `str`, `int`, `bool`, `int | str`, a `Part`, `list[…]`, `Any`."""
    meaning: str
    optional: bool
    """Whether it may be absent by the documentation, or some version of it does not have it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How the body of one command is read."""

    callback: Callback
    data: type[Data]
    fields: tuple[Field, ...]
    is_verbatim: bool
    """Whether parts of the body are passed on whatever they hold."""
    body: type[Body]
    decode: Callable[[bytes], Body]
    """Reads exactly the documented form; anything else raises and is read field by field."""
    build: Callable[[Body], Data]
    """The same under our names and types."""
    subject: Callable[[Data], str | None]
    identity: Callable[[Data, int | None], Sequence[Any] | None]
    """The values that make the event unique, given the body's EventTime; None where there are none."""
    missing: Callable[[Data], Sequence[str]]
    """The platform's names of the fields that are absent and should not be."""


# -- Fields -----------------------------------------------------------------------------------------------------------


@cache
def fields_of(part: type[Part]) -> tuple[Field, ...]:
    """The documented fields of an object, in the order of the class."""
    found = []
    for name, annotation in typing.get_type_hints(part, include_extras=True).items():
        meta = next((item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, msgspec.Meta)), None)
        if meta is not None and meta.extra:
            declared = without_none(typing.get_args(annotation)[0])
            description = meta.description or ""
            extra = meta.extra
            found.append(Field(extra["tencent"], extra["others"], name, declared, description, extra["optional"]))
    return tuple(found)


def without_none(declared: Any) -> Any:
    """`X` of `X | None`."""
    alternatives = [item for item in typing.get_args(declared) if item is not type(None)]
    return typing.Union[tuple(alternatives)] if len(alternatives) > 1 else alternatives[0]  # noqa: UP007


def item_type(declared: Any) -> Any:
    """`X` of `list[X]`, None for other types."""
    return typing.get_args(declared)[0] if typing.get_origin(declared) is list else None


def is_part(declared: Any) -> bool:
    """Whether it is the class of an object."""
    return isinstance(declared, type) and issubclass(declared, Part)


def alternatives_of(declared: Any) -> tuple[Any, ...]:
    """`(X, Y)` of `X | Y`, empty for other types."""
    return typing.get_args(declared) if typing.get_origin(declared) in {typing.Union, types.UnionType} else ()


# -- The strict way: decode, then build --------------------------------------------------------------------------------


@cache
def strict_class(part: type[Part]) -> type[msgspec.Struct]:
    """The class that reads `part` under the platform's names and refuses any other field."""
    fields = fields_of(part)
    names = {field.name: field.tencent for field in fields}
    return msgspec.defstruct(
        part.__name__,
        [(field.name, _strict_field(field), None) for field in fields],
        bases=(Body,) if issubclass(part, Data) else None,
        rename=names.get,
        frozen=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _strict_field(field: Field) -> Any:
    declared: Any = typing.Optional[_strict_type(field.type)]  # noqa: UP045
    return Annotated[declared, msgspec.Meta(description=field.meaning)]


def _strict_type(declared: Any) -> Any:
    if declared is bool:
        return Flag
    if declared is int:
        return SmallInt
    if item := item_type(declared):
        return list[_strict_type(item)]  # type: ignore[misc]
    if is_part(declared):
        return strict_class(declared)
    if alternatives := alternatives_of(declared):
        return typing.Union[tuple(_strict_type(item) for item in alternatives)]  # noqa: UP007
    return declared


_values_of: Callable[[msgspec.Struct], tuple[Any, ...]] = msgspec.structs.astuple


def _builder(part: type[Part]) -> Callable[[msgspec.Struct], Any]:
    """What makes a `part` of its strict form. Both have the same fields in the same order."""
    names = part.__struct_fields__
    conversions = [
        (names.index(field.name), convert) for field in fields_of(part) if (convert := _conversion(field.type))
    ]
    # In front of the fields, a body has two of the envelope, and data has `unknown`.
    skipped, first = (2, [None]) if issubclass(part, Data) else (0, [])
    if not conversions:
        return lambda strict: part(*first, *_values_of(strict)[skipped:])

    def build(strict: msgspec.Struct) -> Any:
        values = [*first, *_values_of(strict)[skipped:]]
        for index, convert in conversions:
            if values[index] is not None:
                values[index] = convert(values[index])
        return part(*values)

    return build


def _conversion(declared: Any) -> Callable[[Any], Any] | None:
    if declared is bool:
        return bool
    if is_part(declared):
        return _builder(declared)
    if (item := item_type(declared)) and (convert := _conversion(item)):
        return lambda values: [convert(value) for value in values]
    return None


def _is_verbatim(declared: Any) -> bool:
    if is_part(declared):
        return any(_is_verbatim(field.type) for field in fields_of(declared))
    return declared is Any or ((item := item_type(declared)) is not None and _is_verbatim(item))


# -- Subject and identity ----------------------------------------------------------------------------------------------


def path_getter(path: str) -> Callable[[Any], Any]:
    """What reads `a.b`: a value, a list of values where `a` is a list, None where it is absent."""
    name, _, rest = path.partition(".")
    if not rest:
        return attrgetter(name)
    inner = path_getter(rest)

    def get(part: Any) -> Any:
        value = getattr(part, name)
        if isinstance(value, list):
            return [inner(item) for item in value]
        return None if value is None else inner(value)

    return get


def _subject(paths: tuple[str, ...]) -> Callable[[Data], str | None]:
    getters = [path_getter(path) for path in paths]
    if len(paths) == 1 and paths[0].isidentifier():
        return attrgetter(*paths)

    def subject(data: Data) -> str | None:
        for get in getters:
            value = get(data)
            if isinstance(value, list):
                value = next(filter(None, value), None)
            if value:
                return typing.cast(str, value)
        return None

    return subject


def _identity(callback: Callback) -> Callable[[Data, int | None], Sequence[Any] | None]:
    """The quick way for the simple ones: most of the traffic is messages, known by two fields or more."""
    paths = callback.identity
    if len(paths) > 1 and all(path.isidentifier() and path != "event_time" for path in paths):
        get: Callable[[Data], tuple[Any, ...]] = attrgetter(*paths)

        def identity(data: Data, _time_ms: int | None) -> Sequence[Any] | None:
            values = get(data)
            return None if None in values or "" in values or [] in values else values

        return identity
    return _identity_by_path(callback)


def _identity_by_path(callback: Callback) -> Callable[[Data, int | None], Sequence[Any] | None]:
    getters = [
        (None if path == "event_time" else path_getter(path.removesuffix("?")), path.endswith("?"))
        for path in callback.identity
    ]

    def identity(data: Data, time_ms: int | None) -> Sequence[Any] | None:
        values = []
        for get, optional in getters:
            value = time_ms if get is None else get(data)
            if _is_absent(value):
                if not optional:
                    return None
                value = ""
            values.append(value)
        return values

    return identity if callback.exact else lambda _data, _time_ms: None


def _is_absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, list) and (not value or None in value))


def _missing(data: type[Data]) -> Callable[[Data], Sequence[str]]:
    always = [field for field in fields_of(data) if not field.optional]
    names = [field.tencent for field in always]
    if len(always) < 2:
        get_one = attrgetter(always[0].name) if always else lambda _data: ""
        return lambda data: names if get_one(data) is None else ()
    get = attrgetter(*(field.name for field in always))

    def missing(data: Data) -> Sequence[str]:
        values = get(data)
        return [name for name, value in zip(names, values, strict=True) if value is None] if None in values else ()

    return missing


# -- Look-up ----------------------------------------------------------------------------------------------------------


def _entry(data: type[Data]) -> Entry:
    body = typing.cast(type[Body], strict_class(data))
    return Entry(
        callback=data.callback,
        data=data,
        fields=fields_of(data),
        is_verbatim=_is_verbatim(data),
        body=body,
        decode=msgspec.json.Decoder(body).decode,
        build=_builder(data),
        subject=_subject(data.callback.subject),
        identity=_identity(data.callback),
        missing=_missing(data),
    )


ENTRIES: tuple[Entry, ...] = tuple(_entry(data) for data in DATA_TYPES.values())
"""Every command that has an entry."""

_by_command = {command: entry for entry in ENTRIES for command in (entry.callback.command, *entry.callback.aliases)}
_by_lower_case = {command.lower(): entry for command, entry in _by_command.items()}


def find(command: str) -> Entry | None:
    """The entry of a command, whatever its case; None where the platform's documentation had none yet."""
    return _by_command.get(command) or _by_lower_case.get(command.lower())


def is_before(command: str) -> bool:
    """Whether the platform waits for our verdict before it goes on: its reply must never block a user."""
    entry = find(command)
    if entry is not None:
        return entry.callback.is_before
    return command.lower().partition(".")[2].startswith(("callbackbefore", "callbackprev"))


def label(command: str) -> str:
    """A command as the label of a metric and in logs: `other` where it has no entry, but is the sender's choice."""
    entry = find(command)
    return entry.callback.command if entry else "other"


def platform_path(entry: Entry, path: str) -> Iterator[str]:
    """The platform's names along a path of ours: `friend_item.to_account` is `FriendItem`, `To_Account`."""
    fields = entry.fields
    for name in path.split("."):
        field = next(field for field in fields if field.name == name)
        yield field.tencent
        inner = item_type(field.type) or field.type
        fields = fields_of(inner) if is_part(inner) else ()


__all__ = [
    "ENTRIES",
    "ENVELOPE_FIELDS",
    "UNKNOWN_TYPE",
    "Body",
    "Entry",
    "Field",
    "alternatives_of",
    "fields_of",
    "find",
    "is_before",
    "is_part",
    "item_type",
    "label",
    "path_getter",
    "platform_path",
    "strict_class",
    "without_none",
]
