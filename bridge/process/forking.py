"""Forks children of a process that has an event loop, while that stands still.

A child is there at once, with all that its parent has imported. What a fork must not share is taken care of here:

- Only the thread that forks is in the child; what others held would stay locked. So the parent has no others.
- The loop's epoll descriptor and its pipe for signals would be the parent's own. The child closes them, with all else
  that it is not to keep: an inherited connection would never end for its client.
- A signal that comes to a child before it has handlers of its own would be told to the parent's loop. So all are
  blocked until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from common.interrupts import end_quietly_when_signalled

log = logging.getLogger(__name__)

T = TypeVar("T")

FAILED = 1
"""The exit status of a child that ends with an exception."""
STANDARD_STREAMS = (0, 1, 2)


@dataclass(frozen=True)
class _Request:
    work: Callable[[], None]
    keep: Sequence[int]
    pid: asyncio.Future[int]


class Forks:
    """Where a coroutine asks for a child."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[_Request] = asyncio.Queue()

    async def fork(self, work: Callable[[], None], *, keep: Sequence[int]) -> int:
        """Start a child.

        Args:
            work: what the child does; then it ends.
            keep: the descriptors that it needs besides the standard streams.

        Returns:
            its process id.

        Raises:
            OSError: the system gives no process.
        """
        request = _Request(work, keep, asyncio.get_running_loop().create_future())
        self._requests.put_nowait(request)
        return await request.pid

    async def _next(self) -> _Request:
        return await self._requests.get()


def run(main: Callable[[Forks], Coroutine[None, None, T]]) -> T:
    """Run a coroutine that may fork, on an event loop of its own, to its end."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        loop = runner.get_loop()
        forks = Forks()
        task = loop.create_task(main(forks))
        while True:
            asked = loop.create_task(forks._next())  # noqa: SLF001 - of this module
            loop.run_until_complete(asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED))
            if task.done():
                return task.result()
            _answer(asked.result())


def _answer(request: _Request) -> None:
    try:
        pid = _fork(request)
    except OSError as error:
        request.pid.set_exception(error)
    else:
        request.pid.set_result(pid)


def _fork(request: _Request) -> int:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _be_child(request)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _be_child(request: _Request) -> NoReturn:
    """Do the work, and end without what the parent would do at its end."""
    status: int | str | None = FAILED
    try:
        # The parent's objects stay as they are: a socket among them that went now would close a descriptor of ours.
        gc.freeze()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        end_quietly_when_signalled()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # The end of a terminal, or a request to reload, is for the parent.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _close_all_but(request.keep)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        request.work()
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 0 if status is None else FAILED)


def _close_all_but(keep: Sequence[int]) -> None:
    for entry in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(entry.name)
        if descriptor not in STANDARD_STREAMS and descriptor not in keep:
            with contextlib.suppress(OSError):  # That of the folder is closed already.
                os.close(descriptor)
