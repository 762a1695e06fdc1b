"""What reads subject, identity and missing fields off the data of an event, made once for each command."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from bridge.events.base import Callback, Data
from bridge.events.introspection import fields_of


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


def identity_getter(callback: Callback) -> Callable[[Data, int | None], Sequence[Any] | None]:
    """What reads the values that make an event unique, given the body's EventTime in milliseconds.

    It gives None where there are none: a field is absent, or the documentation names nothing that is unique.
    """
    paths = callback.identity
    if len(paths) > 1 and all(path.isidentifier() and path != "event_time" for path in paths):
        # Most of the traffic is messages, known by two plain fields or more: for them it has to be quick.
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
