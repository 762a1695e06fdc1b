"""The same seed makes the same faults, on every machine."""

from __future__ import annotations

import itertools

import pytest

from tests.torture.schedule import FREE_AT_THE_END_S, TRACKS, Fault, Track, schedule


def test_a_seed_always_makes_the_same_faults() -> None:
    assert schedule(7, 60) == schedule(7, 60)
    assert schedule(7, 60) != schedule(8, 60)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short = schedule(7, 60)
    assert [step for step in schedule(7, 600) if step in short] == short


def test_what_is_not_possible_is_left_out_and_changes_nothing_else() -> None:
    possible = frozenset(Fault) - {Fault.FILL_DISK, Fault.SLOW_DISK}
    assert schedule(7, 60, possible) == [step for step in schedule(7, 60) if step.fault in possible]


@pytest.mark.parametrize("seed", range(20))
def test_a_minute_has_every_fault_and_ends_with_none_in_force(seed: int) -> None:
    steps = schedule(seed, 60)
    assert {step.fault for step in steps} == set(Fault)
    assert max(step.at + step.hold for step in steps) <= 60 - FREE_AT_THE_END_S


@pytest.mark.parametrize("track", TRACKS)
def test_faults_of_one_part_do_not_overlap(track: Track) -> None:
    steps = [step for step in schedule(3, 300) if step.fault in track.faults]
    assert len(steps) > 10
    assert all(one.at + one.hold < after.at for one, after in itertools.pairwise(steps))
