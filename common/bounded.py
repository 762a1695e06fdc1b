"""Ends things that may not want to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def finish(work: Coroutine[Any, Any, Any], *, within_s: float) -> bool:
    """Run the end of something that is thrown away; whether it ended in time and without an error.

    In a task of its own, because the `stop` of aiokafka's clients may raise the CancelledError of a task inside, which
    would look like a cancellation of ours.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=within_s)
    finally:
        task.cancel()
    if not task.done() or task.cancelled():
        return False
    if (error := task.exception()) is not None:
        log.debug("an error at the end of something that is thrown away: %r", error)
    return error is None
