"""Waiting for conditions, never for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 4
"""How much longer than on a quiet machine anything may take: limits are there to end what hangs, not to measure."""


def wait_until(condition: Callable[[], T], *, timeout: float, what: str | Callable[[], str], every: float = 0.01) -> T:
    """The first true value of `condition`.

    `timeout` is for a quiet machine, in seconds; see `PATIENCE`. `what` names the awaited state, or makes the whole
    message when it is known only at the end.
    Raises TimeoutError; whatever `condition` raises passes through and ends the wait.
    """
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(every)
    return value
