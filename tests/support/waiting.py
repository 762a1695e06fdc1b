"""Waiting for conditions, never for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout: float, what: str | Callable[[], str], every: float = 0.01) -> T:
    """The first true value of `condition`.

    `what` names the awaited state, or makes the whole message when it is known only at the end.
    Raises TimeoutError; whatever `condition` raises passes through and ends the wait.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(every)
    return value
