"""What reads subject, identity and missing fields off the data of an event, made once for each command."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

from bridge.events.base import Data, Part
from bridge.events.introspection import alternatives_of, fields_of, item_type


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


def subject_getter(paths: tuple[str, ...]) -> Callable[[Data], str | None]:
    """What reads the first of these paths that has a value; of a list, its first item that is not empty."""
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


ENVELOPE_PATHS = frozenset(("event_time", "platform"))
"""What an identity may name that is not in the data."""


class Identity(Protocol):
    """Reads the values that make an event unique."""

    def __call__(self, data: Data, time_ms: int | None, is_in_ms: bool, platform: str, /) -> Sequence[Any] | None:
        """The values, None where there are none: a field is absent, or nothing is unique.

        Args:
            data: of the event.
            time_ms: EventTime of the body, Unix milliseconds; None where it has none.
            is_in_ms: whether it came in milliseconds: many events of a kind may happen in a second.
            platform: OptPlatform of the URL, empty where it names none.
        """


_Part = Callable[[Data, int | None, bool, str], Any]


def identity_getter(data: type[Data]) -> Identity:
    """What reads the identity that the callback of this class declares."""
    callback = data.callback
    if not callback.exact:
        return lambda _data, _time_ms, _is_in_ms, _platform: None
    by_path = _identity_by_path(data)
    required = [path for path in callback.identity if not path.endswith("?")]
    optional = [path.removesuffix("?") for path in callback.identity if path.endswith("?")]
    is_plain = all(path.isidentifier() and path not in ENVELOPE_PATHS for path in (*required, *optional))
    if not is_plain or len(required) < 2 or [*required, *(f"{path}?" for path in optional)] != [*callback.identity]:
        return by_path
    # Most of the traffic is messages, known by two plain fields or more, and perhaps others: it has to be quick.
    get: Callable[[Data], tuple[Any, ...]] = attrgetter(*required)
    get_optional = [attrgetter(path) for path in optional]

    def identity(data: Data, time_ms: int | None, is_in_ms: bool, platform: str) -> Sequence[Any] | None:
        values = get(data)
        if None in values or "" in values or [] in values:
            return by_path(data, time_ms, is_in_ms, platform)
        for get_one in get_optional:
            value = get_one(data)
            values = (*values, "" if value is None or value == [] else value)
        return values

    return identity


def _identity_by_path(data: type[Data]) -> Identity:
    getters = [_identity_part(data, path) for path in data.callback.identity]

    def identity(data: Data, time_ms: int | None, is_in_ms: bool, platform: str) -> Sequence[Any] | None:
        values = []
        for get, is_optional in getters:
            value = get(data, time_ms, is_in_ms, platform)
            if _is_absent(value) or (not is_optional and isinstance(value, list) and None in value):
                if not is_optional:
                    return None
                value = ""
            values.append(value)
        return values

    return identity


def _identity_part(data: type[Data], path: str) -> tuple[_Part, bool]:
    """What reads one part of an identity, and whether it counts only where it is present."""
    name, is_optional = path.removesuffix("?"), path.endswith("?")
    if name == "platform":
        return lambda _data, _time_ms, _is_in_ms, platform: platform.lower(), is_optional
    if name == "event_time":
        if is_optional:
            return lambda _data, time_ms, _is_in_ms, _platform: time_ms, is_optional
        return lambda _data, time_ms, is_in_ms, _platform: time_ms if is_in_ms else None, is_optional
    get = path_getter(name)
    if alternatives_of(_type_at(data, name)):
        # 5 and "5" are the same value where both types are documented: a gateway may have written the one as the other.
        return lambda data, _time_ms, _is_in_ms, _platform: _as_text(get(data)), is_optional
    return lambda data, _time_ms, _is_in_ms, _platform: get(data), is_optional


def _type_at(part: type[Part], path: str) -> Any:
    """The declared type of the field at the end of a path."""
    name, _, rest = path.partition(".")
    declared = next(field.type for field in fields_of(part) if field.name == name)
    return _type_at(item_type(declared) or declared, rest) if rest else declared


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if value is None else str(value)


def _is_absent(value: Any) -> bool:
    return value is None or value in ("", [])


def missing_getter(data: type[Data]) -> Callable[[Data], Sequence[str]]:
    """What names the fields, as the platform does, that are absent and should not be."""
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
