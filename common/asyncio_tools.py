"""What asyncio leaves to its users: signals that ask a process to stop, and the end of what may not want to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

log = logging.getLogger(__name__)


@contextlib.contextmanager
def on_stop_signal(act: Callable[[], object], *, hangup: bool = False) -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT call `act` on the running event loop, each time that one comes.

    Args:
        act: called without arguments, e.g. `event.set` or `task.cancel`.
        hangup: whether SIGHUP, the end of the terminal, does it too.
    """
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hangup else ()))
    for number in numbers:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def finish(work: Coroutine[Any, Any, Any], *, within_s: float) -> bool:
    """Run the end of something that is thrown away; whether it ended in time and without an error.

    It runs in a task of its own: the `stop` of aiokafka's clients may raise the CancelledError of a task inside, which
    would look like a cancellation of the caller.
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
