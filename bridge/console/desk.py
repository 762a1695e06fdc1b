"""The child process `consumers desk`, which does what only the workers' program can; started anew when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from bridge.console.hiding import Hiding
from bridge.contract.json_schema import Json

ShowDeskProgress = Callable[[Json], None]

ANSWER_S = 30.0
STOP_S = 3.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
# The scripts of the package may not be on the PATH, nor beside the interpreter.
COMMAND = (sys.executable, "-c", "from consumers.cli import main; main()", "desk")


class DeskError(Exception):
    """The child process could not do it. The message says why, for people.

    Args:
        message: why.
        may_quote: whether it has words of a worker, which may quote a callback.
    """

    def __init__(self, message: str, *, may_quote: bool = False) -> None:
        super().__init__(message)
        self.may_quote = may_quote

    def shown(self, hiding: Hiding) -> str:
        """As much of the message as may be seen."""
        return hiding.shown_words(str(self)) if self.may_quote else str(self)


class DeskClient:
    """Asks a child process, which lives as long as it is asked; used from one event loop."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[Any], ShowDeskProgress]] = {}
        self._starting = asyncio.Lock()

    async def ask(
        self,
        request: Json,
        *,
        within_s: float | None = ANSWER_S,
        show: ShowDeskProgress = lambda _: None,
    ) -> Any:
        """The result of a request; see `consumers.commands.desk_work`.

        Args:
            request: what to `do`, and with what.
            within_s: how long it may take; None: as long as it takes.
            show: told of progress.

        Raises:
            DeskError: it could not be done.
        """
        child = await self._running()
        number = next(self._numbers)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = (future, show)
        try:
            assert child.stdin is not None
            child.stdin.write(msgspec.json.encode({"id": number} | request) + b"\n")
            async with asyncio.timeout(within_s):
                await child.stdin.drain()
                return await future
        except TimeoutError:
            raise DeskError(f"no answer within {within_s:.0f} s") from None
        except OSError:
            raise DeskError(_ENDED) from None
        finally:
            self._asked.pop(number, None)

    async def stop(self) -> None:
        """End the child process."""
        child = self._child
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await child.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        if self._reading is not None:
            await self._reading

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._child is None or self._child.returncode is not None:
                try:
                    self._child = await asyncio.create_subprocess_exec(
                        *COMMAND,
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        limit=MAX_ANSWER_BYTES,
                        start_new_session=True,  # Ctrl-C is for us; its end is that of its standard input.
                    )
                except OSError as error:
                    raise DeskError(f"`consumers desk` cannot be started: {error.strerror}") from error
                self._reading = asyncio.create_task(self._read(self._child))
            return self._child

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        with contextlib.suppress(ValueError):  # A line beyond all bounds.
            while line := await child.stdout.readline():
                self._take(msgspec.json.decode(line))
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        for future, _ in self._asked.values():
            if not future.done():
                future.set_exception(DeskError(_ENDED))

    def _take(self, answer: Json) -> None:
        future, show = self._asked.get(answer["id"], (None, None))
        if future is None or show is None or future.done():
            return
        if "progress" in answer:
            show(answer["progress"])
        elif "error" in answer:
            future.set_exception(DeskError(answer["error"], may_quote=answer["may_quote"]))
        else:
            future.set_result(answer["result"])


_ENDED = "`consumers desk` has ended, see the log of this process: are the CONSUMERS_… settings right?"
