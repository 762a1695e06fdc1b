"""Merged intervals are a set of numbers, whatever the order in which they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.audit.seen_numbers import Gap, SeenNumbers

NUMBERS = st.lists(st.integers(1, 60), max_size=80)


def seen_of(numbers: list[int]) -> SeenNumbers:
    seen = SeenNumbers()
    for number in numbers:
        seen.add(number, number * 1000)
    return seen


@given(NUMBERS)
def test_a_number_is_new_once_and_its_interval_has_the_times_of_its_ends(numbers: list[int]) -> None:
    seen = SeenNumbers()
    known: set[int] = set()
    for number in numbers:
        assert seen.add(number, number * 1000) == (number not in known)
        known.add(number)
        assert number in seen
    assert {number for number in range(62) if number in seen} == known
    assert all(first > last + 1 for first, last in zip(seen.firsts[1:], seen.lasts, strict=False)), "they are merged"
    assert seen.first_ms == [first * 1000 for first in seen.firsts]
    assert seen.last_ms == [last * 1000 for last in seen.lasts]
    assert seen.last == max(known, default=0)


@given(NUMBERS, st.integers(1, 60), st.integers(1, 70))
def test_gaps_are_what_is_not_there_and_have_the_times_of_their_neighbours(
    numbers: list[int], first: int, last: int
) -> None:
    gaps = list(seen_of(numbers).gaps(first, last))
    absent = {number for gap in gaps for number in range(gap.first, gap.last + 1)}
    assert absent == set(range(first, last + 1)) - set(numbers)
    for gap in gaps:
        below = max((number for number in numbers if number < gap.first), default=None)
        above = min((number for number in numbers if number > gap.last), default=None)
        assert gap.after_ms == (None if below is None else below * 1000)
        assert gap.before_ms == (None if above is None else above * 1000)


@given(NUMBERS, st.integers(1, 60))
def test_filled_up_to_a_number_nothing_lacks_below_it_and_nothing_changes_above(
    numbers: list[int], through: int
) -> None:
    seen = seen_of(numbers)
    seen.fill(through)
    assert not list(seen.gaps(1, through))
    assert {number for number in range(through + 1, 62) if number in seen} == {n for n in numbers if n > through}


def test_memory_is_taken_for_intervals_and_not_for_numbers() -> None:
    seen = SeenNumbers()
    for number in range(1, 100_001):
        seen.add(number, number)
    assert len(seen) == 1
    assert list(seen.gaps(1, 100_002)) == [Gap(100_001, 100_002, 100_000, None)]
