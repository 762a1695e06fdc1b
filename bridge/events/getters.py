"""What reads subject, identity and missing fields off the data of an event, made once for each command."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from bridge.events.base import Data
from bridge.events.introspection import alternatives_of, fields_along, fields_of


def compiled(expression: str, *arguments: str, **names: Any) -> Callable[..., Any]:
    """What evaluates an expression of `it`, such as `it.account`.

    Python compiles it, as the methods of dataclasses: to read attributes so takes a third of what it takes
    `operator.attrgetter`, and to call something with them half of what it takes with a tuple.

    Args:
        expression: put together of names that are in our code, never of what somebody sends.
        arguments: what it is called with beside `it`.
        names: what else it names.
    """
    return typing.cast(Callable[..., Any], eval(f"lambda {', '.join(('it', *arguments))}: {expression}", names))  # noqa: S307


def attributes_getter(names: Iterable[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads these attributes."""
    return compiled(f"({''.join(f'it.{name}, ' for name in names)})")


def path_getter(path: str) -> Callable[[Any], Any]:
    """What reads `a.b`: a value, a list of values where `a` is a list, None where it is absent."""
    name, _, rest = path.partition(".")
    if not rest:
        return compiled(f"it.{name}")
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
        return getters[0]

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


OTHERWISE = ""
"""What the values of an `identity_otherwise` begin with; those of an `identity` begin with no empty value."""


class Identity(Protocol):
    """Reads the values that make an event unique."""

    def __call__(
        self, data: Data, time_ms: int | None, is_in_ms: bool, platform: str | None, /
    ) -> tuple[Any, ...] | None:
        """The values, None where there are none: a field is absent, or nothing is unique.

        Args:
            data: of the event.
            time_ms: EventTime of the body, Unix milliseconds; None where it has none.
            is_in_ms: whether it came in milliseconds: many events of a kind may happen in a second.
            platform: OptPlatform of the URL in lower case, None where it names none.
        """


def identity_getter(data: type[Data]) -> Identity:
    """What reads the identity that the callback of this class declares."""
    callback = data.callback
    if not callback.exact:
        return _nothing
    if callback.identity_later:
        assert not callback.identity_otherwise
        return _with_later(_identity(data, callback.identity, _nothing), path_getter(callback.identity_later))
    if not callback.identity_otherwise:
        return _identity(data, callback.identity, _nothing)
    second = _identity(data, callback.identity_otherwise, _nothing)

    def otherwise(data: Data, time_ms: int | None, is_in_ms: bool, platform: str | None) -> tuple[Any, ...] | None:
        values = second(data, time_ms, is_in_ms, platform)
        return None if values is None else (OTHERWISE, *values)

    return _identity(data, callback.identity, otherwise)


def _with_later(identity: Identity, get_later: Callable[[Any], Any]) -> Identity:
    """The identity with a part that leaves no trace where it is absent."""

    def extended(data: Data, time_ms: int | None, is_in_ms: bool, platform: str | None) -> tuple[Any, ...] | None:
        values, later = identity(data, time_ms, is_in_ms, platform), get_later(data)
        return values if values is None or later is None else (*values, later)

    return extended


def _nothing(_data: Data, _time_ms: int | None, _is_in_ms: bool, _platform: str | None) -> None:
    """Of an event that nothing makes unique."""


def _identity(data: type[Data], paths: tuple[str, ...], otherwise: Identity) -> Identity:
    """What reads the identity of these parts; where one of them is absent, `otherwise` does."""
    *required, last = paths
    optional = last.removesuffix("?") if last.endswith("?") else None
    if optional is None:
        required.append(last)
    plain = [*required, optional] if optional else required
    if len(required) < 2 or not all(path.isidentifier() and path not in ENVELOPE_PATHS for path in plain):
        return _identity_by_path(data, paths, otherwise)
    # Most of the traffic is messages, known by two plain fields or more, and perhaps another: it has to be quick.
    get: Callable[[Data], tuple[Any, ...]] = attributes_getter(required)
    get_optional = path_getter(optional) if optional else None

    def identity(data: Data, time_ms: int | None, is_in_ms: bool, platform: str | None) -> tuple[Any, ...] | None:
        values = get(data)
        if not all(values) and (None in values or "" in values or [] in values):
            return otherwise(data, time_ms, is_in_ms, platform)
        if get_optional is None:
            return values
        value = get_optional(data)
        return (*values, "" if value is None or value == [] else value)

    if get_optional is not None:
        return identity
    values, others = [f"it.{name}" for name in required], ("time_ms", "is_in_ms", "platform")
    quick = f"({', '.join(values)}) if {' and '.join(values)} else identity(it, {', '.join(others)})"
    return typing.cast(Identity, compiled(quick, *others, identity=identity))


def _identity_by_path(data: type[Data], paths: tuple[str, ...], otherwise: Identity) -> Identity:
    getters = [(path, _getter_of(data, path.removesuffix("?")), path.endswith("?")) for path in paths]

    def identity(data: Data, time_ms: int | None, is_in_ms: bool, platform: str | None) -> tuple[Any, ...] | None:
        values = []
        for path, get, is_optional in getters:
            if get is not None:
                value = get(data)
            elif path == "event_time":
                value = time_ms if is_in_ms else None
            else:
                value = platform if path == "platform?" else time_ms
            if value is None or value in ("", []):
                if not is_optional:
                    return otherwise(data, time_ms, is_in_ms, platform)
                value = ""
            elif not is_optional and isinstance(value, list) and (None in value or "" in value):
                return otherwise(data, time_ms, is_in_ms, platform)
            values.append(value)
        return tuple(values)

    return identity


def _getter_of(data: type[Data], path: str) -> Callable[[Data], Any] | None:
    """What reads a part of an identity off the data; None where it is not in there."""
    if path in ENVELOPE_PATHS:
        return None
    get = path_getter(path)
    *_, last = fields_along(data, path)
    if alternatives_of(last.type):
        # 5 and "5" are the same value where both types are documented: a gateway may have written the one as the other.
        return lambda data: _as_text(get(data))
    return get


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if value is None else str(value)


def missing_getter(data: type[Data]) -> Callable[[Data], Sequence[str]]:
    """What names the fields, as the platform does, that are absent and should not be."""
    always = [field for field in fields_of(data) if not field.optional]
    names = [field.tencent for field in always]
    get = attributes_getter([field.name for field in always])

    def missing(data: Data) -> Sequence[str]:
        values = get(data)
        return [name for name, value in zip(names, values, strict=True) if value is None] if None in values else ()

    return missing
