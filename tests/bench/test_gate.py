"""When the instructions of a callback are too many."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gate import Stored, compare, load, store

STORED = Stored("CPython 3.11", {64: 150_000, 256: 170_000}, {64: 120_000, 256: 102_000})


def counted(interpreter: str = "CPython 3.11", *, floor: float = 1.0, bridge: float = 1.0) -> Stored:
    """What is stored, so many times as large."""
    return Stored(
        interpreter,
        {number: round(value * floor) for number, value in STORED.floor.items()},
        {number: round(value * bridge) for number, value in STORED.bridge.items()},
    )


@pytest.mark.parametrize(
    ("bridge", "fails", "is_progress"),
    [(1.0, False, False), (1.04, False, False), (1.06, True, False), (0.9, False, True)],
)
def test_more_than_five_per_cent_above_fails_and_less_asks_for_an_update(
    bridge: float, fails: bool, is_progress: bool
) -> None:
    found = compare(counted(bridge=bridge), STORED)
    assert [(one.has_failed, one.is_progress) for one in found] == [(fails, is_progress)] * 2


def test_each_number_of_callbacks_at_a_time_is_judged_by_itself() -> None:
    found = counted()
    found.bridge[256] = 120_000
    assert [one.has_failed for one in compare(found, STORED)] == [False, True]


def test_of_the_same_python_the_number_counts_whatever_the_floor_took() -> None:
    assert not any(one.has_failed for one in compare(counted(floor=0.8), STORED))


def test_of_another_python_the_ratio_to_the_floor_counts() -> None:
    both_more = counted("CPython 3.14", floor=1.2, bridge=1.2)
    assert not any(one.has_failed or one.is_progress for one in compare(both_more, STORED))
    only_ours = counted("CPython 3.14", floor=1.2, bridge=1.3)
    found = compare(only_ours, STORED)
    assert all(one.has_failed for one in found)
    assert all("another Python (CPython 3.11)" in one.text for one in found)


def test_what_is_stored_can_be_read_again(tmp_path: Path) -> None:
    store(STORED, tmp_path / "instructions.json")
    assert load(tmp_path / "instructions.json") == STORED
