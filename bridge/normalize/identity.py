"""What an event is about where its documented fields do not say it, and what hides what makes it unique."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.events import Data, registry
from bridge.events.getters import OTHERWISE
from bridge.events.introspection import Field, item_type

GROUP_FIELDS = ("GroupId", "GroupID", "group_id", "RoomId", "room_id")
ACCOUNT_FIELDS = ("To_Account", "to_account", "Report_Account", "From_Account")
"""Where a body most likely names whom it is about, best first."""
ROOM_FIELDS = ("RoomId", "room_id")
"""A room stands in an object about it, e.g. `RoomInfo` or `EventInfo`, where who did something stands beside that."""


def hides_identity(entry: registry.Entry, data: Data, values: Sequence[Any]) -> bool:
    """Whether what could tell the event from others that have this identity is there, and nobody understands it."""
    if data.unknown is None:
        return False
    identity = entry.exactness.identities[-1 if values[0] == OTHERWISE else 0]
    return any(_holds(data.unknown, field.declared) for field in identity if field.declared)


def _holds(unknown: dict[str, Any], path: tuple[Field, ...]) -> bool:
    """Whether what was not understood of an object is at the end of this path, or on the way to it."""
    field, *rest = path
    names = {name.lower() for name in field.names}
    for name, value in unknown.items():
        if name.lower() not in names:
            continue
        is_list = item_type(field.type) is not None
        if not rest or (is_list and not isinstance(value, list)):
            return True
        for part in value if is_list else [value]:
            if part is not None and (not isinstance(part, dict) or _holds(part, tuple(rest))):
                return True
    return False


def best_subject(fields: dict[str, Any]) -> str | None:
    """The group, room or account that a body without an entry is most likely about, searching nested objects last."""
    return _first_name(fields, (*GROUP_FIELDS, *ACCOUNT_FIELDS)) or _room_inside(fields) or _any_name(fields)


def _first_name(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(fields[name]) for name in names if _is_name(fields.get(name))), None)


def _room_inside(fields: dict[str, Any]) -> str | None:
    """The first room that an object inside these fields names, however deep."""
    for nested in _objects_in(fields):
        if room := _first_name(nested, ROOM_FIELDS) or _room_inside(nested):
            return room
    return None


def _any_name(fields: dict[str, Any]) -> str | None:
    """The first group or account, or else anything that is called an account, searching nested objects last."""
    if named := _first_name(fields, (*GROUP_FIELDS, *ACCOUNT_FIELDS)):
        return named
    for name, value in fields.items():
        if name.lower().endswith("_account") and _is_name(value):
            return str(value)
    for nested in _objects_in(fields):
        if named := _any_name(nested):
            return named
    return None


def _objects_in(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects in these fields, of a list its first item."""
    firsts = (value[0] if isinstance(value, list) and value else value for value in fields.values())
    return [first for first in firsts if isinstance(first, dict)]


def fallback_subject(entry: registry.Entry, data: Data) -> str | None:
    """The group, room or account that typed data is about, where its documented fields name none; None if it is the
    app."""
    return best_subject(msgspec.to_builtins(data)) if entry.callback.subject else None


def _is_name(value: Any) -> bool:
    """Whether it may name an account, group or room: the platform writes some as numbers."""
    return (type(value) is int and value > 0) or (isinstance(value, str) and value != "")
