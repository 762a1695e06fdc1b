"""When dead letters are taken for the fault of the worker. What follows from it: test_delivery.py."""

from __future__ import annotations

import pytest

from consumers.runtime.dead_letter_breaker import DeadLetterBreaker


def made(limit: int, changes: list[bool] | None = None) -> DeadLetterBreaker:
    return DeadLetterBreaker(limit=limit, window_s=10, on_change=(changes if changes is not None else []).append)


def test_dead_letters_of_different_keys_open_it_and_the_first_event_that_is_handled_closes_it() -> None:
    changes: list[bool] = []
    breaker = made(3, changes)
    for key in range(3):
        assert not breaker.is_open
        breaker.failed(key)
    assert breaker.is_open
    breaker.failed("more")
    breaker.succeeded()
    breaker.succeeded()
    assert changes == [False, True, False]


def test_dead_letters_of_one_key_or_with_a_handled_event_between_do_not_open_it() -> None:
    breaker = made(3)
    for _ in range(10):
        breaker.failed("one key")
    for _ in range(10):
        breaker.failed("a")
        breaker.failed("b")
        breaker.succeeded()
    assert not breaker.is_open


def test_dead_letters_that_are_far_apart_do_not_open_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("consumers.runtime.dead_letter_breaker.time.monotonic", lambda: now)
    breaker = made(3)
    for key in range(20):
        breaker.failed(key)
        now += 6.0
    assert not breaker.is_open


def test_with_a_limit_of_0_it_never_opens() -> None:
    breaker = made(0)
    for key in range(1000):
        breaker.failed(key)
    assert not breaker.is_open
