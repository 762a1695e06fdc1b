"""What is let into the log."""

from __future__ import annotations

import pytest

from common import logs
from common.logs import Throttle


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("common.logs.time.monotonic", lambda: now[0])
    return now


def test_one_message_of_a_kind_is_let_through_in_each_interval_and_the_others_are_counted(clock: list[float]) -> None:
    throttle = Throttle(10)
    assert [throttle.admits("a") for _ in range(4)] == [True, False, False, False]
    assert throttle.admits("b")
    clock[0] = 10
    assert throttle.admits("a")
    assert [throttle.suppressed("a"), throttle.suppressed("a")] == [3, 0]


def test_kinds_that_somebody_else_thinks_up_do_not_grow_in_memory() -> None:
    throttle = Throttle(1000)
    for number in range(10 * logs.MAX_KINDS):
        throttle.admits(str(number))
    assert len(throttle._last) <= logs.MAX_KINDS + 1
