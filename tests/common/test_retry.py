"""Waits that grow, and work that is tried until it succeeds."""

from __future__ import annotations

from itertools import islice

import pytest

from common.retry import Backoff, retry


class Flaky:
    """Fails with each of these errors in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def __call__(self) -> str:
        if self._errors:
            raise self._errors.pop(0)
        return "done"


class Pauses:
    """Notes the waits instead of waiting."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def test_waits_double_up_to_the_longest_and_begin_anew_after_a_reset() -> None:
    waits = Backoff(first_s=1, max_s=5, jitter=False)
    assert list(islice(waits, 5)) == [1, 2, 4, 5, 5]
    waits.reset()
    assert next(waits) == 1


def test_jitter_keeps_between_half_a_wait_and_all_of_it() -> None:
    waits = list(islice(Backoff(first_s=8, max_s=8), 200))
    assert all(4 <= wait <= 8 for wait in waits)
    assert len(set(waits)) > 1


async def test_work_is_tried_until_it_succeeds_and_each_failure_is_reported_before_the_wait() -> None:
    told: list[str] = []
    pauses = Pauses()
    attempt = Flaky(ConnectionError("away"), TimeoutError("slow"))
    result = await retry(
        attempt,
        on=(ConnectionError, TimeoutError),
        report=lambda error: told.append(f"{error} after {len(pauses.waits)}"),
        first_s=1,
        max_s=60,
        pause=pauses,
    )
    assert result == "done"
    assert told == ["away after 0", "slow after 1"]
    assert 0.5 <= pauses.waits[0] <= 1 <= pauses.waits[1] <= 2


async def test_a_failure_that_does_not_pass_ends_the_attempts() -> None:
    pauses = Pauses()
    with pytest.raises(KeyError):
        await retry(Flaky(ConnectionError(), KeyError("x")), on=ConnectionError, pause=pauses)
    assert len(pauses.waits) == 1


async def test_a_function_can_say_which_failures_pass() -> None:
    pauses = Pauses()
    with pytest.raises(OSError, match="disk"):
        await retry(Flaky(OSError("net"), OSError("disk")), on=lambda error: str(error) == "net", pause=pauses)
    assert len(pauses.waits) == 1


async def test_what_the_pause_raises_ends_the_attempts() -> None:
    async def interrupted(_: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await retry(Flaky(OSError(), OSError()), on=OSError, pause=interrupted)
