"""The memory that bodies may take."""

from __future__ import annotations

from bridge.http.body_budget import BodyBudget


class Arriving:
    """A body that arrives, and ends when it is told to give up."""

    def __init__(self, budget: BodyBudget) -> None:
        self.arrived_bytes = 0
        self.gave_up = False
        self._budget = budget
        budget.begin(self)

    def give_up(self) -> None:
        self.gave_up = True
        self._budget.ended(self)


def test_whole_bodies_may_take_all_of_it() -> None:
    budget = BodyBudget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert budget.take(40)
    budget.release(100)
    assert budget.used == 0


def test_bodies_that_are_not_whole_may_take_half_and_the_oldest_gives_way() -> None:
    budget = BodyBudget(100)
    first, second, third = (Arriving(budget) for _ in range(3))
    assert budget.grow(first, 20)
    assert budget.grow(second, 20)
    assert budget.grow(third, 20)
    assert (first.gave_up, second.gave_up, third.gave_up) == (True, False, False)
    assert budget.used == 40
    assert budget.take(60), "whole ones have the other half"
    budget.release(60)
    budget.ended(third)
    assert budget.grow(second, 30)
    assert not budget.grow(second, 1), "none is older"
    budget.ended(second)
    budget.ended(second)
    assert budget.used == 0


def test_bodies_that_are_not_whole_leave_what_whole_ones_hold() -> None:
    budget = BodyBudget(100)
    arriving = Arriving(budget)
    assert budget.take(90)
    assert budget.grow(arriving, 10)
    assert not budget.grow(arriving, 1)
