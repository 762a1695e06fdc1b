"""Keeps fields from the page that BRIDGE_CONSOLE_HIDE names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from bridge.events import registry
from bridge.events.base import Part
from bridge.events.introspection import fields_of, is_part, item_type

HIDDEN = "…"
"""Stands for a value that is not shown."""


class Hiding:
    """Replaces the values of fields, at any depth, whether they stand under the platform's names or under ours.

    Args:
        names: the platform's names, in any case.
    """

    def __init__(self, names: Iterable[str]) -> None:
        given = {name.lower() for name in names}
        self._names = frozenset(given | _our_names(given))
        self.is_active = bool(given)

    def shown(self, value: Any) -> Any:
        """What of a value may be seen."""
        if not self.is_active:
            return value
        if isinstance(value, dict):
            return {name: HIDDEN if name.lower() in self._names else self.shown(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.shown(item) for item in value]
        return value

    def shown_json(self, value: bytes) -> bytes | None:
        """The same of JSON; None where it is none, so that nobody knows what is in it."""
        if not self.is_active:
            return value
        try:
            return orjson.dumps(self.shown(orjson.loads(value)))
        except orjson.JSONDecodeError:
            return None


def _our_names(given: set[str]) -> set[str]:
    found: set[str] = set()
    for entry in registry.ENTRIES:
        found.update(_in_part(entry.data, given))
    return found


def _in_part(part: type[Part], given: set[str]) -> Iterable[str]:
    for field in fields_of(part):
        if any(name.lower() in given for name in field.names):
            yield field.name
        inner: Any = item_type(field.type) or field.type
        if is_part(inner):
            yield from _in_part(inner, given)
