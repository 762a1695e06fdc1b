"""How late the event loop is: what holds it up holds up every reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

INTERVAL_S = 0.5
BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MEANING = "How much later than it should the event loop did what was due; looked at twice a second."


async def watch_loop_lag(observe: Callable[[float], object]) -> NoReturn:
    """Measure for ever.

    Args:
        observe: given the seconds by which the event loop was late.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        observe(max(0.0, loop.time() - due))
