"""How much is kept of callbacks with a stale time."""

from __future__ import annotations

from bridge.ingress.stale import JOURNAL_SHARE, StaleBudget


def test_so_many_and_so_many_bytes_are_kept_in_a_minute() -> None:
    now = 0.0
    budget = StaleBudget(3, 1000, lambda: 0.0, now=lambda: now)
    assert [budget.admits(size) for size in (400, 400, 400, 200, 0)] == [True, True, False, True, False]
    now = 60.0
    assert [budget.admits(size) for size in (1001, 1000, 1)] == [False, True, False]


def test_none_is_kept_while_the_journal_holds_much_of_what_is_real() -> None:
    used = 0.0
    budget = StaleBudget(3, 1000, lambda: used)
    assert budget.admits(1)
    used = JOURNAL_SHARE
    assert not budget.admits(1)
    used = 0.0
    assert [budget.admits(1) for _ in range(3)] == [True, True, False], "what was not kept has used up nothing"
