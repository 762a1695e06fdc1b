"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.timestamps import Rfc3339, rfc3339, rfc3339_all, unix_ms


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_557_481_126_123, "2019-05-10T09:38:46.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_has_three_digits_of_milliseconds_and_stands_in_utc(time_ms: int, text: str) -> None:
    assert rfc3339(time_ms) == text


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_what_is_written_is_read_as_the_same_time(time_ms: int) -> None:
    read = datetime.fromisoformat(rfc3339(time_ms))
    assert round((read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000) == time_ms


@given(st.lists(st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.integers(0, 3000)))
def test_many_times_are_written_as_each_by_itself(times_ms: list[int]) -> None:
    one_by_one = [rfc3339(time_ms) for time_ms in times_ms]
    assert rfc3339_all(times_ms) == one_by_one
    text = Rfc3339().text
    assert [text(time_ms) for time_ms in times_ms] == one_by_one


def test_beyond_the_year_9999_there_is_no_form() -> None:
    with pytest.raises(OverflowError):
        rfc3339(253_402_300_800_000)
    with pytest.raises(OverflowError):
        rfc3339_all([0, 253_402_300_800_000])


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_is_rounded_down_to_milliseconds(time: datetime) -> None:
    assert unix_ms(time) == (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
