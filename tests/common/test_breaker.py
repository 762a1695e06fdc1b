"""When a circuit breaker lets calls through."""

from __future__ import annotations

import pytest

from common.breaker import BreakerState, CircuitBreaker
from common.retry import Backoff


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(max_failures=3, open_for=Backoff(first_s=5, max_s=20, jitter=False), now=clock)


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    assert [breaker.failed() for _ in range(3)] == [False, False, True]
    return breaker


def test_failures_with_a_success_between_do_not_open_it(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        assert not breaker.failed()
        assert not breaker.failed()
        assert not breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.free(running=3, max_running=10) == 7


def test_failures_in_a_row_open_it_and_no_call_is_made_for_a_while(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    assert breaker.state is BreakerState.OPEN
    assert breaker.remaining_s == 5
    clock.now += 4.9
    assert breaker.free(running=0, max_running=10) == 0


def test_half_open_it_admits_one_call_at_a_time(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 5
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.free(running=0, max_running=10) == 1
    assert breaker.free(running=1, max_running=10) <= 0


def test_a_call_that_fails_half_open_opens_it_for_longer(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    for seconds in (5, 10, 20, 20):
        assert breaker.remaining_s == seconds
        clock.now += seconds
        assert breaker.failed()
    breaker.succeeded()
    assert opened(breaker).remaining_s == 5, "the next time it begins with the first wait again"


def test_calls_that_began_before_it_opened_do_not_lengthen_the_wait(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 3
    assert not breaker.failed()
    assert breaker.remaining_s == 2


@pytest.mark.parametrize("waited", [1, 6], ids=["open", "half-open"])
def test_a_call_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock, waited: float) -> None:
    opened(breaker)
    clock.now += waited
    assert breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert not breaker.succeeded(), "it closes once"


def test_one_failure_that_says_that_all_will_fail_opens_it(breaker: CircuitBreaker) -> None:
    assert breaker.failed(for_all=True)
    assert breaker.state is BreakerState.OPEN


def test_it_holds_calls_back_for_a_while_and_stays_closed(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.hold(2)
    breaker.hold(1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.free(running=0, max_running=10) == 0
    clock.now += 2
    assert breaker.free(running=0, max_running=10) == 10
