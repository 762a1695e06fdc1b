"""What was found of an hour of the archive."""

from __future__ import annotations

from typing import Literal, Self

import msgspec

from common.timestamps import rfc3339, unix_ms
from consumers.archive.errors import ArchiveErrorKind
from consumers.archive.hour import Hour
from consumers.archive.message import ArchivedChat

HourState = Literal["compared", "no_file"] | ArchiveErrorKind
"""`no_file`: the platform has none, so there was no message; of an error why it could not be compared."""


class HourCount(msgspec.Struct, omit_defaults=True):
    """What was found of an hour.

    The fields are that many because each line of the files is counted in one of them: so they can be seen to add up.
    """

    app: str
    chat: ArchivedChat
    hour: str
    """As the platform names it: `YYYYMMDDHH` in Beijing's time."""
    start: str
    """RFC 3339, UTC."""
    state: HourState = "compared"
    archived: int = 0
    """Messages in the files that lie in the span that was asked for: the sum of the next four."""
    there: int = 0
    """On the topic of events."""
    dead_letters: int = 0
    """Among the dead letters, and not on the topic of events."""
    repeated: int = 0
    """Messages that an earlier line has, too."""
    missing: int = 0
    """Nowhere when they were looked up."""
    published: int = 0
    """Of the missing ones."""
    weak: int = 0
    """Of the missing ones: those whose event has not the id of its callback."""
    too_large: int = 0
    """Of the missing ones: those that the topic does not take."""
    withheld: int = 0
    """Of the missing ones: those that the topic may have had, and has deleted. They are not published."""
    outside: int = 0
    """Messages in the files that lie outside the span that was asked for."""
    bad_lines: int = 0
    """Lines that are no message."""
    samples: list[str] = []
    """Of those, some."""
    reasons: list[str] = []
    """Of the same ones: where they are and why they are bad, without anything of the lines."""
    problem: str = ""
    """Why it could not be compared, or not be published."""

    @classmethod
    def of(cls, app_id: str, chat: ArchivedChat, hour: Hour) -> Self:
        """An empty one."""
        return cls(app=app_id, chat=chat, hour=hour.name, start=rfc3339(unix_ms(hour.start)))

    @property
    def still_missing(self) -> int:
        """Messages that are nowhere now."""
        return self.missing - self.published

    @property
    def is_settled(self) -> bool:
        """Whether all of it is on the topic, as far as it can be known."""
        return not self.problem and not self.still_missing
