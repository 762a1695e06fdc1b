"""Bodies as they may come otherwise than documented, and what the reference says of the identity of each.

The oracle reads the raw body by the platform's names, and nothing but `registry.Entry.exactness`, which is what the
reference prints: not the code that makes identities.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bridge.events import registry
from bridge.events.exactness import IdentityField
from bridge.events.introspection import Field, fields_of, is_part, item_type

TIME_MS = 1_762_635_083_740
TIMES: dict[str, Any] = {
    "in ms": TIME_MS,
    "in ms, as text": str(TIME_MS),
    "in ms, with a fraction": float(TIME_MS),
    "in seconds": TIME_MS // 1000,
    "in seconds, as text": str(TIME_MS // 1000),
    "in whole seconds, in ms": TIME_MS // 1000 * 1000,
    "zero": 0,
    "no time": "soon",
    "an object": {"odd": 1},
    "empty": "",
    "null": None,
}
FIRST_IN_MS = 100_000_000_000
"""What is less is a time in seconds."""


class Variant(NamedTuple):
    """A body, and how it differs from the one it was made of."""

    name: str
    body: dict[str, Any]


def variants(body: dict[str, Any]) -> Iterator[Variant]:
    """The body itself, with every form of EventTime and without; each field absent, null, empty or of a strange type,
    in the first item of a list and in all; and with a new field in each object."""
    yield Variant("as it is", body)
    for name, time in TIMES.items():
        yield Variant(f"EventTime {name}", body | {"EventTime": time})
    for path in _paths(body):
        for name, change in CHANGES.items():
            for only_first in (True, False) if "[]" in path else (True,):
                other = copy.deepcopy(body)
                _apply(other, path, change, only_first)
                yield Variant(f"{'.'.join(path)} {name}{' at first' if only_first else ''}", other)


def _absent(part: dict[str, Any], name: str) -> None:
    del part[name]


def _null(part: dict[str, Any], name: str) -> None:
    part[name] = None


def _empty(part: dict[str, Any], name: str) -> None:
    part[name] = type(part[name])() if isinstance(part[name], list | dict) else ""


def _strange(part: dict[str, Any], name: str) -> None:
    # A lone text is taken for a list of it, because pages print both.
    part[name] = "odd" if isinstance(part[name], dict) else {"odd": 1}


def _with_a_new_field(part: dict[str, Any], name: str) -> None:
    for item in part[name] if isinstance(part[name], list) else [part[name]]:
        if isinstance(item, dict):
            item["New"] = 1
    part["New"] = 1


CHANGES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "absent": _absent,
    "null": _null,
    "empty": _empty,
    "of a strange type": _strange,
    "beside a new field": _with_a_new_field,
}


def _paths(value: Any) -> Iterator[tuple[str, ...]]:
    """The names of every field, from the top; `[]` where a list is between."""
    if isinstance(value, list):
        for path in _paths(value[0] if value else None):
            yield ("[]", *path)
    if isinstance(value, dict):
        for name, item in value.items():
            yield (name,)
            for path in _paths(item):
                yield (name, *path)


def _apply(value: Any, path: tuple[str, ...], change: Callable[[dict[str, Any], str], None], only_first: bool) -> None:
    name, *rest = path
    if name == "[]":
        for item in value[:1] if only_first else value:
            if isinstance(item, dict) and rest[0] in item:
                _apply(item, tuple(rest), change, only_first)
    elif rest:
        _apply(value[name], tuple(rest), change, only_first)
    else:
        change(value, name)


def said_identity(entry: registry.Entry, body: dict[str, Any]) -> str | None:
    """What makes this body's event unique, as the reference has it; None where each delivery is an event of its own.

    The platform of the URL, where it counts, is left out.
    """
    for identity in entry.exactness.identities:
        if all(field.is_optional or _counts(field, body) for field in identity):
            if any(_is_strange(body, field.declared) for field in identity if field.declared):
                return None
            values = {field.path: _said_values(field, body) for field in identity}
            return f"{entry.callback.command}: {values}"
    return None


def _counts(field: IdentityField, body: dict[str, Any]) -> bool:
    if field.declared:
        values = list(_values(body, field.declared))
        return bool(values) and all(value not in (None, "", []) for value in values)
    assert field.needs_ms, "EventTime in either unit and OptPlatform count where present only"
    return (_time_of(body) or 0) >= FIRST_IN_MS


def _time_of(body: dict[str, Any]) -> int | None:
    time = body.get("EventTime")
    try:
        return None if time is None else int(time)
    except (TypeError, ValueError):
        return None


def _said_values(field: IdentityField, body: dict[str, Any]) -> list[str]:
    if field.declared:
        return [_said(value) for value in _values(body, field.declared)]
    time = _time_of(body) or 0
    return [_said(time if time >= FIRST_IN_MS else time * 1000)]


def _said(value: Any) -> str:
    """The same for all forms of a value: null is absent, a flag may be a number."""
    if isinstance(value, dict):
        return str({name: _said(item) for name, item in sorted(value.items()) if item is not None})
    if isinstance(value, list):
        return str([_said(item) for item in value]) if value else ""
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


def _named(part: dict[str, Any], field: Field) -> Any:
    wanted = {name.lower() for name in field.names}
    found = [value for name, value in part.items() if name.lower() in wanted and value is not None]
    assert len(found) < 2, "no variant has a field under two names"
    return found[0] if found else None


def _values(part: dict[str, Any], path: tuple[Field, ...]) -> Iterator[Any]:
    """The values at the end of a path, None for each that is absent or not understood."""
    field, *rest = path
    value = _named(part, field)
    if not rest:
        yield value if value is None or _is_understood(value, field.type) else None
        if isinstance(value, list):
            yield from value
        return
    items = value if isinstance(value, list) else [value]
    if not items or any(not isinstance(item, dict) for item in items):
        yield None
        return
    for item in items:
        yield from _values(item, tuple(rest))


def _is_strange(part: dict[str, Any], path: tuple[Field, ...]) -> bool:
    """Whether something on the path, or at its end, is there and not understood."""
    field, *rest = path
    value = _named(part, field)
    if value is None:
        return False
    if not rest:
        return not _is_understood(value, field.type)
    if (item_type(field.type) is None) == isinstance(value, list):
        return True
    items = value if isinstance(value, list) else [value]
    return any(not isinstance(item, dict) or _is_strange(item, tuple(rest)) for item in items)


def _is_understood(value: Any, declared: Any) -> bool:
    if item := item_type(declared):
        return isinstance(value, list) and all(_is_understood(one, item) for one in value)
    if not is_part(declared):
        return declared is Any or _is_scalar(value, declared)
    if not isinstance(value, dict):
        return False
    documented = {name.lower(): field for field in fields_of(declared) for name in field.names}
    return all(
        name.lower() in documented and (one is None or _is_understood(one, documented[name.lower()].type))
        for name, one in value.items()
    )


def _is_scalar(value: Any, declared: Any) -> bool:
    if isinstance(value, dict | list):
        return False
    return value != "" or declared not in {int, bool}
