"""Notices when the platform's callbacks differ from its documentation: counts it, and logs an example now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from bridge import metrics
from bridge.events import registry

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 3600.0
MAX_ITEMS = 500
"""How many kinds of difference get a label of their own; the rest is counted as `other`."""
MAX_NAME_CHARS = 80
MAX_SAMPLE_CHARS = 300
MAX_SAMPLE_FIELDS = 50
"""More fields of an object would not fit into that."""

_Key = tuple[str, str, str]


class Drift:
    """Counts and logs differences.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last_logged: dict[_Key, float] = {}

    def note(self, kind: str, command: str, field: str = "", value: Any = None) -> None:
        """Note a difference.

        Args:
            kind: `unknown_command`, `unknown_field`, `missing_field`, `type` or `command` (body and URL disagree).
            command: the callback command.
            field: the platform's names from the top, e.g. `Info.Action`; empty where it is about the whole body.
            value: what was there.
        """
        entry = registry.find(command)
        key = (kind, entry.callback.command if entry else _name(command), _name(field))
        if key not in self._last_logged and len(self._last_logged) >= MAX_ITEMS:
            metrics.DRIFT.labels(kind, "other", "other").inc()
            return
        metrics.DRIFT.labels(*key).inc()
        now, last = self._now(), self._last_logged.get(key)
        if last is not None and now - last < LOG_INTERVAL_S:
            return
        self._last_logged[key] = now
        where = f"{key[1]}: {key[2]}" if key[2] else key[1]
        shape = "" if value is None else f", such as {mask(value)}"
        log.warning("differs from the documentation (%s): %s%s", kind, where, shape)


def mask(value: Any) -> str:
    """The shape of a value, without anything that a user wrote."""
    return _shape(value, 0)[:MAX_SAMPLE_CHARS]


def _shape(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return f"<text of {len(value)}>"
    if isinstance(value, list):
        return f"[{_shape(value[0], depth + 1)}, …]" if value and depth < 3 else f"<list of {len(value)}>"
    if isinstance(value, dict):
        if depth >= 3:
            return f"<object of {len(value)}>"
        fields = islice(value.items(), MAX_SAMPLE_FIELDS)
        return "{" + ", ".join(f"{_name(name)}: {_shape(item, depth + 1)}" for name, item in fields) + "}"
    return "null" if value is None else f"<{type(value).__name__}>"


def _name(text: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in text[:MAX_NAME_CHARS])
    return text.encode(errors="replace").decode()
