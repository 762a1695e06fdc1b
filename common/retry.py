"""Tries again what must succeed in the end: `retry` one piece of work, `Backoff` for loops of another shape."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Self, TypeVar

T = TypeVar("T")

Passing = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""The failures that pass by themselves: exception classes as in an `except`, or a function that knows them."""


class Backoff(Iterator[float]):
    """Seconds to wait before each next attempt, doubling; ends never.

    Args:
        first_s: the first wait.
        max_s: the longest.
        jitter: whether each wait is 50 to 100 % of its length at random, so that many who wait do not march in step.
    """

    def __init__(self, *, first_s: float = 0.2, max_s: float = 5.0, jitter: bool = True) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._jitter = jitter
        self._next_s = first_s

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> float:
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self._max_s)
        return wait_s * random.uniform(0.5, 1.0) if self._jitter else wait_s  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begin with the first wait again: an attempt has succeeded."""
        self._next_s = self._first_s


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    on: Passing,
    report: Callable[[Exception], object] = lambda _: None,
    first_s: float = 0.2,
    max_s: float = 5.0,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Try for ever, until an attempt succeeds, and give its result.

    Args:
        attempt: called for each attempt.
        on: the failures after which it is tried again.
        report: told of each of these before the wait.
        first_s, max_s: the waits, as of `Backoff`.
        pause: waits for so many seconds; what it raises ends the attempts.

    Raises:
        Exception: a failure of `attempt` that is not meant by `on`.
    """
    waits = Backoff(first_s=first_s, max_s=max_s)
    while True:
        try:
            return await attempt()
        except Exception as error:
            passes = isinstance(error, on) if isinstance(on, type | tuple) else on(error)
            if not passes:
                raise
            report(error)
        await pause(next(waits))
