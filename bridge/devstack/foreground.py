"""Commands that run in the foreground of a terminal until Ctrl-C, or until nobody reads what they print."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from common import streams
from common.asyncio_tools import on_stop_signal

READ_CHECK_INTERVAL_S = 0.1


def run_in_foreground(work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Do `work`, but cancel it at Ctrl-C, SIGTERM or when the terminal is closed; whether that happened.

    Raises:
        SystemExit: with status 0, when nobody reads the output any more; `work` is cancelled before.
        whatever `work` raises.
    """

    async def run() -> bool:
        return await _until_unwanted(asyncio.ensure_future(work()))

    return asyncio.run(run())


def why_not_here(error: OSError) -> str:
    """Why this machine does not let us run something, such as for want of space, in words without Python's."""
    what = error.strerror or str(error)
    return f"it cannot be run here: {what}{f' ({error.filename})' if error.filename else ''}"


async def _until_unwanted(task: asyncio.Task[None]) -> bool:
    """A second signal cancels what `task` does to end: what it leaves undone is left to a `Guard`."""
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    unread = asyncio.create_task(_unread())
    unread.add_done_callback(lambda _: task.cancel())
    with on_stop_signal(stop, hangup=True):
        try:
            await task
        except asyncio.CancelledError:
            if signalled:
                return True
            if unread.done() and not unread.cancelled():
                streams.end_unread()
            raise  # the loop ends, as when output cannot be written
        finally:
            unread.cancel()
    return False


async def _unread() -> None:
    """Ends when nobody reads the output. What is waited for may never come, and then nothing is written that fails."""
    while streams.is_output_read():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(READ_CHECK_INTERVAL_S)
    streams.discard(1)
