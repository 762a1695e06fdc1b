"""Keeps content off disk and topic: the fields that BRIDGE_DROP_FIELDS names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.normalize.repair import dump, load


class FieldFilter:
    """Removes fields from bodies, at any depth.

    Args:
        names: the platform's names, in any case.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.strip().lower() for name in names if name.strip())
        self.is_active = bool(self._names)
        """Whether there is anything to remove."""

    def apply(self, body: bytes) -> tuple[bytes, bool]:
        """The body without the fields, and whether it had to be repaired.

        Raises:
            UnreadableError: nobody can tell what is in it.
        """
        fields, repaired = load(body)
        return dump(self._without(fields)), repaired

    def _without(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._without(item) for name, item in value.items() if name.lower() not in self._names}
        if isinstance(value, list):
            return [self._without(item) for item in value]
        return value
