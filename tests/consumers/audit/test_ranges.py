"""Ranges are sets of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.audit.ranges import NumberRange, common, count, union, without

RANGES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 6)).map(lambda one: (one[0], one[0] + one[1])), max_size=8
)


def numbers(ranges: list[NumberRange]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES, RANGES)
def test_the_operations_are_those_of_sets_and_give_ranges_in_order_that_do_not_overlap(
    some: list[NumberRange], others: list[NumberRange]
) -> None:
    left, right = union(some), union(others)
    both, either, only = list(common(left, right)), union(some, others), list(without(left, right))
    assert numbers(both) == numbers(some) & numbers(others)
    assert numbers(either) == numbers(some) | numbers(others)
    assert numbers(only) == numbers(some) - numbers(others)
    for ranges in (both, either, only):
        assert count(ranges) == len(numbers(ranges))
        assert ranges == sorted(ranges)
