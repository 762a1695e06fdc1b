"""Notices when the platform's callbacks differ from its documentation: counts it, keeps an example, logs now and then.

What is kept is bounded, whoever sends what: a place for each difference in what is documented, of which there are only
so many; so many places for each documented command's fields that are not documented, and for commands that are not.
What comes when these are taken is counted together, as `other`, beside all others. So nobody who makes names up keeps
out what differs in another command.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from bridge import metrics
from bridge.events import registry
from bridge.normalize.differences import OTHER, Difference, DriftReport, by_frequency
from bridge.normalize.shapes import command_name, shape_of
from common.logs import fields
from common.timestamps import rfc3339

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 3600.0
MAX_UNKNOWN_FIELDS = 25
"""Undocumented fields of a documented command that are told apart."""
MAX_UNKNOWN_COMMANDS = 100
MAX_LABELS = 500
"""Kinds of difference with labels of their own: a page of metrics with more would take long to make."""

_Place = tuple[str, str, str]


class _Noted:
    """What is kept of one kind of difference."""

    __slots__ = ("count", "counter", "first_s", "last_s", "shape", "shown_s")

    def __init__(self, labels: _Place, now_s: float) -> None:
        self.count = 0
        self.first_s = self.last_s = now_s
        self.shown_s = float("-inf")
        """When its example was made, and logged."""
        self.shape = ""
        self.counter = metrics.DRIFT.labels(*labels)


class Drift:
    """Counts, keeps and logs differences.

    Args:
        now: the time, in Unix seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._since_s = now()
        self._noted: dict[_Place, _Noted] = {}
        self._taken: Counter[str] = Counter()
        """Places by documented command, and under `other` those of all that are not."""

    def note(self, kind: str, command: str, field: str = "", value: Any = None) -> None:
        """Note a difference.

        Args:
            kind: `unknown_command`, `unknown_field`, `missing_field`, `type` or `command` (body and URL disagree).
            command: the callback command.
            field: the platform's names from the top, e.g. `Info.Action`; empty where it is about the whole body. It is
                shown as it is: an undocumented name is to be one that may be.
            value: what was there; of `command` the one in the body.
        """
        entry = registry.find(command)
        place = (kind, entry.callback.command if entry else command_name(command), field)
        now_s = self._now()
        noted = self._noted.get(place)
        if noted is None:
            place = self._free_place(place, is_documented=entry is not None)
            noted = self._noted.get(place)
        if noted is None:
            labels = place if len(self._noted) < MAX_LABELS else (kind, OTHER, OTHER)
            noted = self._noted[place] = _Noted(labels, now_s)
        noted.count += 1
        noted.last_s = now_s
        noted.counter.inc()
        if not 0 <= now_s - noted.shown_s < LOG_INTERVAL_S:  # Clocks are set back, too.
            noted.shown_s = now_s
            noted.shape = _example(kind, value)
            _log(place, noted.shape)

    def report(self) -> DriftReport:
        """What differed since this process began to count."""
        differences = (
            Difference(*place, noted.count, _text(noted.first_s), _text(noted.last_s), noted.shape)
            for place, noted in self._noted.items()
        )
        return DriftReport(by_frequency(differences), [_text(self._since_s)])

    def _free_place(self, place: _Place, *, is_documented: bool) -> _Place:
        """Where a difference is counted that has no place yet: in one of its own while there are any."""
        kind, command, _ = place
        if is_documented and kind != "unknown_field":
            return place  # Its names are all documented.
        share, most = (command, MAX_UNKNOWN_FIELDS) if is_documented else (OTHER, MAX_UNKNOWN_COMMANDS)
        if self._taken[share] < most:
            self._taken[share] += 1
            return place
        return kind, share, OTHER


def _example(kind: str, value: Any) -> str:
    """What may be shown of what was there."""
    if kind == "missing_field":
        return ""
    return command_name(value) if kind == "command" else shape_of(value)


def _log(place: _Place, shape: str) -> None:
    kind, command, field = place
    where = f"{command}: {field}" if field else command
    such_as = f", such as {shape}" if shape else ""
    log.warning(
        "differs from the documentation (%s): %s%s; `bridge drift` lists all",
        kind,
        where,
        such_as,
        extra=fields("drift", kind=kind),
    )


def _text(time_s: float) -> str:
    return rfc3339(int(time_s * 1000))
