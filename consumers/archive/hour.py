"""Hours of the archive, which are those of Beijing, and the window of time that somebody asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import total_ordering
from typing import Self

BEIJING = timezone(timedelta(hours=8), "Beijing")
"""China has had no summer time since 1991, and the platform is younger."""

_HOUR = timedelta(hours=1)
_NAME = re.compile(r"[0-9]{10}")
_TIME_ONLY = re.compile(r"T?([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
_FORM = "write it as 2026-11-25T10:00, with +08:00 or Z behind it where it is no local time"


@total_ordering
@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the archive.

    Args:
        start: its first instant, whose minute is 0 in Beijing.
    """

    start: datetime

    def __post_init__(self) -> None:
        """See that it is one: the start is kept in Beijing's time, whatever zone it was given in."""
        start = self.start.astimezone(BEIJING)
        if (start.minute, start.second, start.microsecond) != (0, 0, 0):
            raise ValueError(f"{self.start.isoformat()} is not the start of an hour in Beijing")
        object.__setattr__(self, "start", start)

    @classmethod
    def parse(cls, name: str) -> Self:
        """An hour by its name.

        Args:
            name: `YYYYMMDDHH`, in Beijing's time.

        Raises:
            ValueError: it is no such name.
        """
        try:
            if not (_NAME.fullmatch(name) and name.startswith("2")):
                raise ValueError
            return cls(datetime(int(name[:4]), int(name[4:6]), int(name[6:8]), int(name[8:]), tzinfo=BEIJING))
        except ValueError:
            raise ValueError(f"{name[:40]!r} is no hour: write YYYYMMDDHH in Beijing's time, as 2026112518") from None

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """The hour that an instant, which has a time zone, lies in."""
        if instant.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return cls(instant.astimezone(BEIJING).replace(minute=0, second=0, microsecond=0))

    @property
    def name(self) -> str:
        """As the platform writes it: `YYYYMMDDHH` in Beijing's time."""
        return f"{self.start:%Y%m%d%H}"

    @property
    def end(self) -> datetime:
        """The first instant that is not in it any more."""
        return self.start + _HOUR

    def next(self) -> Self:
        """The hour behind it."""
        return type(self)(self.end)

    def has_ended(self, now: datetime) -> bool:
        """Whether it is over; before that the platform has no file of it."""
        return now >= self.end

    def __lt__(self, other: Hour) -> bool:
        return self.start < other.start

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:00} Beijing"


@dataclass(frozen=True, slots=True)
class ArchiveWindow:
    """A span of time that is asked for: from `start`, and not `end` any more. Both have a time zone."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """See that there is something between the two."""
        if self.start >= self.end:
            raise ValueError(
                f"nothing lies between {self.start.isoformat()} and {self.end.isoformat()}: the end must be later"
            )

    @classmethod
    def parse(cls, start: str, end: str, *, zone: tzinfo | None = None) -> Self:
        """A window as people write it.

        Args:
            start: `2026-11-25T10:00`, `2026-11-25 10:00:30+08:00`, `2026-11-25T02:00Z`, `2026-11-25` (its midnight), or
                the name of an hour, `2026112510`, which is Beijing's.
            end: the same, or a time of day alone, `13:00`: the first such time after the start.
            zone: of times without an offset; default: that of this machine.

        Raises:
            ValueError: one cannot be read, there is none or two of that time in the zone, or the end is not later.
        """
        written = _read(start)
        if time_of_day := _TIME_ONLY.fullmatch(end.strip()):
            return cls(_in_zone(written, zone), _in_zone(_next_time_of_day(written, time_of_day), zone))
        return cls(_in_zone(written, zone), parse_instant(end, zone=zone))

    def hours(self) -> Iterator[Hour]:
        """The hours that hold any of it, in order. The first and the last may hold more: ask `covers`."""
        hour = Hour.of(self.start)
        while hour.start < self.end:
            yield hour
            hour = hour.next()

    def covers(self, timestamp_s: int) -> bool:
        """Whether the window holds a message of that second (Unix time)."""
        return self.start.timestamp() <= timestamp_s < self.end.timestamp()


def parse_instant(text: str, *, zone: tzinfo | None = None) -> datetime:
    """An instant as people write it; see `ArchiveWindow.parse`.

    Raises:
        ValueError: it cannot be read, or there is none or two of that time in the zone.
    """
    return _in_zone(_read(text), zone)


def _read(text: str) -> datetime:
    """A time as it is written: without a zone where none is."""
    text = text.strip()
    if _NAME.fullmatch(text):
        return Hour.parse(text).start
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time: {_FORM}") from None
    if not 2000 <= found.year < 3000:
        raise ValueError(f"{text[:40]!r} has another year than the archive can have")
    return found


def _next_time_of_day(start: datetime, found: re.Match[str]) -> datetime:
    hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        end = start.replace(hour=hour, minute=minute, second=second, microsecond=0)
    except ValueError:
        raise ValueError(f"{found[0]!r} is no time of day") from None
    return end if end > start else end + timedelta(days=1)


def _in_zone(time: datetime, zone: tzinfo | None) -> datetime:
    if time.tzinfo is not None:
        return time
    first, second = (_with_zone(time.replace(fold=fold), zone) for fold in (0, 1))
    if first != second:
        # Where clocks are put forward the first of the two is read as if they had not been, and lies behind.
        how_often = "does not exist" if first > second else "comes twice"
        raise ValueError(
            f"{time.isoformat()} {how_often} in that time zone, since clocks change then: write its offset, as +08:00"
        )
    return first


def _with_zone(time: datetime, zone: tzinfo | None) -> datetime:
    return time.astimezone(zone) if zone is None else time.replace(tzinfo=zone).astimezone(UTC)
