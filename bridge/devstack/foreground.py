"""Commands that run in the foreground of a terminal until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from common.asyncio_tools import on_stop_signal


def run_in_foreground(work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Do `work`, but cancel it at Ctrl-C, SIGTERM or when the terminal is closed; whether that happened.

    Raises:
        whatever `work` raises, as BrokenPipeError when nobody reads the output any more.
    """

    async def run() -> bool:
        return await _until_signalled(work())

    return asyncio.run(run())


async def _until_signalled(work: Awaitable[None]) -> bool:
    """A second signal cancels what `work` does to end: what it leaves undone is left to a `Guard`."""
    task = asyncio.ensure_future(work)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    with on_stop_signal(stop, hangup=True):
        try:
            await task
        except asyncio.CancelledError:
            if not signalled:
                raise
            return True
    return False
