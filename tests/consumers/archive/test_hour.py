"""Hours of the archive, which are those of Beijing, and windows as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from consumers.archive.hour import BEIJING, ArchiveWindow, Hour, parse_instant

BERLIN = ZoneInfo("Europe/Berlin")


def names(window: ArchiveWindow) -> list[str]:
    return [hour.name for hour in window.hours()]


def test_an_hour_has_the_platforms_name_and_beijings_time() -> None:
    hour = Hour.parse("2015120121")
    assert hour.start == datetime(2015, 12, 1, 13, tzinfo=UTC)
    assert hour.end - hour.start == timedelta(hours=1)
    assert hour.name == "2015120121"
    assert str(hour) == "2015-12-01 21:00 Beijing"
    assert Hour.of(datetime(2015, 12, 1, 13, 59, 59, 999_999, tzinfo=UTC)) == hour
    assert Hour.of(hour.end) == hour.next() > hour


@pytest.mark.parametrize(
    "name", ["", "201512012", "20151201210", "2015130121", "2015120124", "٢015120121", "1970010100"]
)
def test_what_is_no_hour_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="YYYYMMDDHH"):
        Hour.parse(name)


def test_an_hour_begins_with_a_full_one_of_beijing() -> None:
    with pytest.raises(ValueError, match="not the start of an hour"):
        Hour(datetime(2026, 11, 25, 10, 30, tzinfo=UTC))
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert Hour(datetime(2026, 11, 25, 10, 30, tzinfo=kolkata)).name == "2026112513"
    with pytest.raises(ValueError, match="time zone"):
        Hour.of(datetime(2026, 11, 25))  # noqa: DTZ001


def test_an_hour_has_ended_with_its_last_second() -> None:
    hour = Hour.parse("2026112510")
    assert not hour.has_ended(hour.end - timedelta(microseconds=1))
    assert hour.has_ended(hour.end)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-25T10:00", "13:00", ["2026112510", "2026112511", "2026112512"]),
        ("2026-11-25 23:30", "01:15", ["2026112523", "2026112600", "2026112601"]),
        ("2026-12-31T23:00", "00:30", ["2026123123", "2027010100"]),
        ("2028-02-28T23:00", "2028-02-29T01:00", ["2028022823", "2028022900"]),
        ("2026112523", "2026112601", ["2026112523", "2026112600"]),
        ("2026-11-25T02:00Z", "2026-11-25T12:00", ["2026112510", "2026112511"]),
        ("2026-11-25T02:00Z", "04:00", ["2026112510", "2026112511"]),
        ("2026-11-24T22:00-04:00", "23:00", ["2026112510"]),
        ("2026-11-25T10:00:30", "10:00:31", ["2026112510"]),
        ("2026-11-25T10:00", "T11:00", ["2026112510"]),
    ],
)
def test_a_window_has_every_hour_that_it_touches(start: str, end: str, expected: list[str]) -> None:
    assert names(ArchiveWindow.parse(start, end, zone=BEIJING)) == expected


def test_a_day_has_24_hours() -> None:
    assert len(names(ArchiveWindow.parse("2026-11-25", "2026-11-26", zone=BEIJING))) == 24


def test_zones_of_half_hours_touch_an_hour_at_both_ends_and_the_window_says_which_messages_it_covers() -> None:
    window = ArchiveWindow.parse("2026-11-25T10:00", "11:00", zone=ZoneInfo("Asia/Kolkata"))
    assert names(window) == ["2026112512", "2026112513"]
    start_s = int(datetime(2026, 11, 25, 4, 30, tzinfo=UTC).timestamp())
    assert [window.covers(start_s + more) for more in (-1, 0, 3599, 3600)] == [False, True, True, False]


def test_a_day_on_which_clocks_change_is_as_long_as_it_is() -> None:
    assert len(names(ArchiveWindow.parse("2026-10-25", "2026-10-26", zone=BERLIN))) == 25
    assert len(names(ArchiveWindow.parse("2026-03-29", "2026-03-30", zone=BERLIN))) == 23


@pytest.mark.parametrize(
    ("text", "says"),
    [("2026-03-29T02:30", "does not exist"), ("2026-10-25T02:30", "comes twice"), ("2026-10-25T02:30:00", "offset")],
)
def test_a_local_time_that_is_none_or_two_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_instant(text, zone=BERLIN)


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_berlin")
def test_without_a_zone_times_are_those_of_the_machine() -> None:
    assert names(ArchiveWindow.parse("2026-11-25T10:00", "11:00")) == ["2026112517"]
    assert names(ArchiveWindow.parse("2026-07-25T10:00", "11:00")) == ["2026072516"]
    with pytest.raises(ValueError, match="comes twice"):
        parse_instant("2026-10-25T02:30")


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2026-11-25T10:00", "2026-11-25T10:00", "the end must be later"),
        ("2026-11-25T10:00", "2026-11-24T10:00", "the end must be later"),
        ("yesterday", "13:00", "is no time: write it as 2026-11-25T10:00"),
        ("2026-11-25T10:00", "25:00", "is no time of day"),
        ("2026-11-25T10:00", "tomorrow", "is no time"),
        ("10:00", "13:00", "is no time"),
        ("0001-01-01", "13:00", "another year"),
        ("2026-11-25T10:00", "9999-12-31T23:59", "another year"),
    ],
)
def test_what_is_no_window_is_refused(start: str, end: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ArchiveWindow.parse(start, end, zone=BEIJING)
