"""Keeps fields from the page that BRIDGE_CONSOLE_HIDE names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from bridge.contract.record_line import MAX_DEPTH
from bridge.events import registry
from bridge.events.base import Part
from bridge.events.introspection import fields_of, is_part, item_type

HIDDEN = "…"
"""Stands for a value that is not shown."""
_FREE_HEADERS = frozenset({"detail", "traceback", "query"})
"""Headers of dead letters in which anything may stand."""
_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt)(?=:|$)")
_FRAME = re.compile(r'  File "[^"]*", line \d+, in [\w<>.]+')


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
        """What of a value may be seen; nothing of what lies deeper than MAX_DEPTH."""
        return self._shown(value, MAX_DEPTH) if self.is_active else value

    def shown_header(self, name: str, value: bytes) -> str:
        """What of a header of a record may be seen.

        Who failed at a record may have quoted it: of its words the kind of the error stays, and where it was raised.
        """
        if self.is_active and name == "raw-body":
            shown = self.shown_json(value)
            return HIDDEN if shown is None else shown.decode(errors="replace")
        text = value.decode(errors="backslashreplace")
        if not self.is_active or name not in _FREE_HEADERS:
            return text
        return _without_words(text) if name == "traceback" else _kind_of_error(text)

    def _shown(self, value: Any, depth: int) -> Any:
        if not isinstance(value, dict | list):
            return value
        if not depth:
            return HIDDEN
        if isinstance(value, list):
            return [self._shown(item, depth - 1) for item in value]
        return {
            name: HIDDEN if name.lower() in self._names else self._shown(item, depth - 1)
            for name, item in value.items()
        }

    def shown_json(self, value: bytes) -> bytes | None:
        """The same of JSON; None where it is none, so that nobody knows what is in it."""
        if not self.is_active:
            return value
        try:
            return orjson.dumps(self.shown(orjson.loads(value)))
        except orjson.JSONDecodeError:
            return None


def _kind_of_error(text: str) -> str:
    kind = _ERROR.match(text)
    return f"{kind[0]}: {HIDDEN}" if kind else HIDDEN


def _without_words(traceback: str) -> str:
    """The places of a traceback and the kinds of its errors, without a line of what these say or quote."""
    found: list[str] = []
    for line in traceback.splitlines():
        if _FRAME.fullmatch(line):
            found.append(line)
        elif kind := _ERROR.match(line):
            found.append(f"{kind[0]}: {HIDDEN}")
    return "\n".join(found) or HIDDEN


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
