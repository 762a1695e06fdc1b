"""Keeps content off disk and topic: fields that are dropped, and the query without what proves authenticity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

import orjson

from bridge.ingress.verify import Query
from bridge.normalize.repair import load

SECRET_PARAMETERS = frozenset(("sign", "requesttime", "token"))


class FieldFilter:
    """Removes fields from bodies, at any depth.

    Args:
        names: the platform's names, in any case.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.strip().lower() for name in names if name.strip())

    @property
    def is_active(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self._names)

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


def dump(value: Any) -> bytes:
    """What `load` read, as strict JSON."""
    return orjson.dumps(value)


def unsigned(query: Query) -> bytes:
    """The query string as it came, without what proves authenticity, which must reach no topic."""
    pairs = [
        pair for pair in query.raw.split("&") if unquote_plus(pair.partition("=")[0]).lower() not in SECRET_PARAMETERS
    ]
    return "&".join(pairs).encode(errors="replace")


__all__ = ["FieldFilter", "dump", "unsigned"]
