"""One process of the stack, such as the broker or the ingress: start it, wait for it, read its log, end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bridge.devstack.guard import Workspace

T = TypeVar("T")

POLL_INTERVAL_S = 0.03
TAIL_LINES = 20


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Our environment with these settings of ours and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "CONSUMERS_"))}
    return {**inherited, "PYTHONUNBUFFERED": "1", **settings}


class ServiceError(Exception):
    """A child process does not do what it should. The message says what is wrong."""

    def __init__(self, service: Service, message: str) -> None:
        super().__init__(f"{service.name}: {message}")
        self.service = service


class Service:
    """One child process, in a process group of its own; all it prints goes to `log`.

    Its environment is ours without our settings, and its working directory the workspace: so no setting that was
    made for another Kafka, by a variable or a `.env` file, gets into it.

    Args:
        name: for messages, and the log.
        command: the program and its arguments.
        workspace: where it runs and logs; ends it when we cannot.
        settings: its environment variables, besides those of ours that are no settings.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], workspace: Workspace, settings: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = workspace.folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._workspace = workspace
        self._settings = settings or {}
        self._process: asyncio.subprocess.Process | None = None
        self._end: asyncio.Task[int] | None = None
        self.last_words = ""
        """What `tail` was before it was asked to stop."""

    @property
    def pid(self) -> int:
        """Its process id, once it was started."""
        assert self._process, f"{self.name} was not started"
        return self._process.pid

    async def start(self) -> None:
        """Start it; it may end before it is of any use."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment(self._settings),
                cwd=self._workspace.folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._workspace.add(self._process.pid)
        self._end = asyncio.create_task(self._reap(self._process))

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end, and end it for certain after `timeout_s` seconds."""
        if self._process is None or self._end is None:
            return
        self.last_words = self.tail()
        try:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await asyncio.wait({self._end}, timeout=timeout_s)
        finally:
            _kill(self._process.pid)
            await self._end

    async def ended(self) -> int:
        """Wait for its end and return its exit status."""
        assert self._end, f"{self.name} was not started"
        return await asyncio.shield(self._end)

    async def until(self, condition: Callable[[], Awaitable[T | None]], *, what: str, timeout_s: float) -> T:
        """The first result of `condition` that is not None.

        Raises:
            ServiceError: the process ended, or the time is over. `what` completes "it did not … in time".
        """
        assert self._end, f"{self.name} was not started"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (result := await condition()) is None:
            if self._end.done():
                raise ServiceError(self, f"it ended with exit status {self._end.result()}")
            if loop.time() > deadline:
                raise ServiceError(self, f"it did not {what} within {timeout_s:.0f} s")
            await asyncio.sleep(POLL_INTERVAL_S)
        return result

    def output(self) -> str:
        """All that it has printed."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self) -> str:
        """The last lines that it has printed."""
        return "\n".join(self.output().splitlines()[-TAIL_LINES:])

    async def _reap(self, process: asyncio.subprocess.Process) -> int:
        status = await process.wait()
        _kill(process.pid)  # what it started
        self._workspace.discard(process.pid)
        return status


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
