"""Which hours a watch has still to compare, kept over its restarts."""

from __future__ import annotations

import logging
import os
import time
from datetime import datetime
from pathlib import Path

import msgspec

from common.logs import fields
from common.program import command_line
from consumers.archive.hour import Hour
from consumers.archive.message import ArchivedChat
from consumers.backfill.hour_count import HourCount
from consumers.errors import describe

log = logging.getLogger(__name__)

FILE_NAME = "watch.json"
EXPIRED_TOLD_S = 86_400
"""So long it is told of an hour that the platform no longer has: nothing can be done about it any more."""


class WatchedChat(msgspec.Struct):
    """The messages of a kind of an app."""

    app: str
    chat: ArchivedChat
    next: str
    """Name of the first hour that was never looked at."""
    pending: list[str] = []
    """Names of hours before it that are not settled: their file is not made yet, or something is missing."""
    missing: dict[str, int] = {}
    """Name of such an hour → messages that were missing when it was compared last, and are not published."""
    expired: dict[str, int] = {}
    """Name of such an hour that the platform no longer has → when that was found, Unix seconds; for a day."""

    def due(self, now: datetime) -> list[Hour]:
        """The hours that are over and not settled, in order."""
        hours = [Hour.parse(name) for name in self.pending]
        hour = Hour.parse(self.next)
        while hour.has_ended(now):
            hours.append(hour)
            hour = hour.next()
        return sorted(hours)

    def note(self, count: HourCount, *, is_over: bool) -> None:
        """Note what was found of an hour.

        Args:
            count: of the hour.
            is_over: whether it need not be looked at again.
        """
        following = Hour.parse(count.hour).next().name
        self.next = max(self.next, following)
        pending = set(self.pending)
        (pending.discard if is_over else pending.add)(count.hour)
        self.pending = sorted(pending)
        if count.state == "expired":
            now_s = int(time.time())
            self.expired = {name: self.expired[name] for name in self.expired_hours(now_s)} | {count.hour: now_s}
        if is_over:
            self.missing.pop(count.hour, None)
        elif count.state == "compared" or count.still_missing > self.missing.get(count.hour, 0):
            self.missing[count.hour] = count.still_missing  # Of what could not be compared whole, no less than before.

    def expired_hours(self, now_s: float) -> list[str]:
        """Names of the hours of which it was found within a day that they cannot be compared any more."""
        return [name for name, found_s in self.expired.items() if now_s < found_s + EXPIRED_TOLD_S]

    @property
    def complete_until(self) -> Hour:
        """All messages before this hour are on the topic."""
        return Hour.parse(min([self.next, *self.pending]))


def load_watched(folder: Path) -> list[WatchedChat]:
    """What was kept; nothing where there is none. Where it cannot be read, that is logged: hours may be forgotten."""
    path = folder / FILE_NAME
    try:
        watched = msgspec.json.decode(path.read_bytes(), type=list[WatchedChat])
        for one in watched:
            one.due(one.complete_until.start)  # It reads the names of all of its hours.
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:  # msgspec.DecodeError is a ValueError
        log.error(
            "%s cannot be read (%s): the watch begins anew. Compare the hours before it with "
            "`%s backfill --from … --to …`",
            path,
            describe(error),
            command_line("consumers"),
            extra=fields("watch_state_lost", file=str(path), reason=describe(error)),
        )
        return []
    return watched


def save_watched(folder: Path, watched: list[WatchedChat]) -> None:
    """Keep it.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{FILE_NAME}.new"
    with new.open("wb") as file:
        file.write(msgspec.json.encode(watched))
        file.flush()
        os.fsync(file.fileno())  # Else a machine that goes down may leave an empty file.
    new.replace(folder / FILE_NAME)
