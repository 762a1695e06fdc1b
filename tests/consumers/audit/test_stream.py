"""What a stream says of its numbers: each is counted as one thing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.audit.ranges import NumberRange
from consumers.audit.seen_numbers import Gap
from consumers.audit.stream import MARKS, GapKind, Mark, NumberedStream

KINDS: tuple[GapKind, ...] = (*MARKS, "missing")
RANGE = st.tuples(st.integers(1, 50), st.integers(0, 5)).map(lambda one: [(one[0], one[0] + one[1])])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 50)),
        st.tuples(st.just("judge"), st.integers(1, 50)),
        st.tuples(st.sampled_from(MARKS), RANGE),
    ),
    max_size=60,
)


def nothing_explains(_gap: Gap) -> None:
    return None


def applied(steps: list[tuple[str, int | list[NumberRange]]]) -> NumberedStream:
    stream = NumberedStream()
    for name, value in steps:
        if name == "add" and isinstance(value, int):
            stream.add(value, value)
        elif name == "judge" and isinstance(value, int):
            stream.judge(value, nothing_explains)
        elif isinstance(value, list):
            stream.mark(name, value)  # type: ignore[arg-type]
    return stream


@given(STEPS, st.integers(0, 60))
def test_each_number_is_counted_once(steps: list[tuple[str, int | list[NumberRange]]], told: int) -> None:
    stream = applied(steps)
    there = {value for name, value in steps if name == "add"}
    counts = stream.count(told)
    known = there | set(range(1, max(told, stream.judged_through) + 1))
    assert counts.arrived == len(there)
    assert counts.duplicates == sum(name == "add" for name, _ in steps) - len(there)
    assert counts.acknowledged + counts.never_durable + counts.before == len(known)
    assert sum(gap.size for kind in KINDS for gap in stream.gaps(kind)) == len(
        set(range(1, stream.judged_through + 1)) - there
    )


@given(STEPS, st.integers(0, 5))
def test_folding_changes_no_sum_and_leaves_no_more_intervals_than_asked_for_below_what_is_judged(
    steps: list[tuple[str, int | list[NumberRange]]], leave: int
) -> None:
    stream = applied(steps)
    before = stream.count(50)
    above = sum(first > stream.judged_through for first in stream.seen.firsts)
    stream.fold(leave=leave)
    assert stream.count(50) == before
    assert len(stream.seen) <= max(leave, above) + 2


def test_a_number_that_was_missing_and_comes_is_missing_no_more() -> None:
    stream = NumberedStream()
    for number in (1, 2, 5):
        stream.add(number, 1000 * number)
    stream.judge(5, nothing_explains)
    assert list(stream.gaps("missing")) == [Gap(3, 4, 2000, 5000)]
    stream.add(3, 3000)
    assert list(stream.gaps("missing")) == [Gap(4, 4, 3000, 5000)]
    assert stream.count(5).duplicates == 0


def test_a_gap_that_is_explained_in_part_is_missing_in_its_other_part() -> None:
    def explain(_gap: Gap) -> tuple[Mark, int]:
        return "expired", 2

    stream = NumberedStream()
    stream.add(6, 0)
    stream.judge(6, explain)
    assert [gap[:2] for gap in stream.gaps("expired")] == [(1, 2)]
    assert [gap[:2] for gap in stream.gaps("missing")] == [(3, 5)]


def test_many_folds_keep_their_sum_in_few_places() -> None:
    stream = NumberedStream()
    for number in range(2, 6000, 2):
        stream.add(number, number)
        stream.judge(number, nothing_explains)
        if len(stream.seen) > 20:
            stream.fold(leave=5)
    assert stream.count(0).missing == 2999
    assert len(stream.folded) <= 200
