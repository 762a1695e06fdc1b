"""Of several records, one answer."""

from __future__ import annotations

import pytest

from bridge.ingress.durability import AllDurable


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ([True, True, True], [True]),
        ([True, True], []),
        ([False], [False]),
        ([True, False, True], [False]),
        ([False, False, True, True], [False]),
        ([True, True, True, False], [True]),
    ],
)
def test_it_is_true_when_all_are_durable_and_false_when_one_is_not_and_told_once(
    told: list[bool], outcome: list[bool]
) -> None:
    outcomes: list[bool] = []
    together = AllDurable(3, outcomes.append)
    for durable in told:
        together(durable)
    assert outcomes == outcome


def test_after_forget_nothing_is_told() -> None:
    outcomes: list[bool] = []
    together = AllDurable(1, outcomes.append)
    together.forget()
    together(True)
    assert outcomes == []
