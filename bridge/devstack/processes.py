"""Child processes of a command that never outlive it, whatever ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

POLL_S = 0.03
TAIL_LINES = 20

_GUARD = """
import os, shutil, signal, sys, time
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
for attempt in range(20):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not os.path.exists(sys.argv[1]):
        break
    time.sleep(0.05)
"""


class Guard:
    """A temporary folder, and a helper process that removes it and kills our children once we have ended.

    It learns of our end by the end of its standard input, so it works for SIGKILL too.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="im-bridge-"))
        # A session of its own: Ctrl-C in the terminal and a signal to our process group do not reach it.
        self._helper = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-S", "-c", _GUARD, str(self.folder)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def add(self, group: int) -> None:
        """Watch over a process group."""
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        """The process group has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._helper.stdin
        with contextlib.suppress(BrokenPipeError):
            self._helper.stdin.write(line)
            self._helper.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._helper.stdin
        self._helper.stdin.close()
        self._helper.wait(timeout=10)


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

    Its environment is ours without our settings, and its working directory the temporary folder: so no setting that was
    made for another Kafka, by a variable or a `.env` file, gets into it.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], guard: Guard, settings: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = guard.folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._guard = guard
        self._settings = settings or {}
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[int] | None = None
        self.last_words = ""
        """What `tail` was before it was asked to stop."""

    async def start(self) -> None:
        """Start it; it may end before it is of any use."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment(self._settings),
                cwd=self._guard.folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard.add(self._process.pid)
        self._watch = asyncio.create_task(self._reap(self._process))

    async def stop(self, timeout: float) -> None:
        """Ask it to end, and end it for certain after `timeout` seconds."""
        if self._process is None or self._watch is None:
            return
        self.last_words = self.tail()
        try:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await asyncio.wait({self._watch}, timeout=timeout)
        finally:
            _kill(self._process.pid)
            await self._watch

    async def ended(self) -> int:
        """Wait for its end and return its exit status."""
        assert self._watch, f"{self.name} was not started"
        return await asyncio.shield(self._watch)

    async def until(self, condition: Callable[[], Awaitable[T | None]], *, what: str, timeout: float) -> T:
        """The first result of `condition` that is not None.

        Raises:
            ServiceError: the process ended, or the time is over. `what` completes "it did not … in time".
        """
        assert self._watch, f"{self.name} was not started"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (result := await condition()) is None:
            if self._watch.done():
                raise ServiceError(self, f"it ended with exit status {self._watch.result()}")
            if loop.time() > deadline:
                raise ServiceError(self, f"it did not {what} within {timeout:.0f} s")
            await asyncio.sleep(POLL_S)
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
        self._guard.discard(process.pid)
        return status


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on.

    It lies below the range that the system takes ports of outgoing connections from: who tries to connect to a port of
    that range while nobody listens there can end up connected to itself.
    """
    for port in random.sample(range(15000, 32000), 200):
        if is_free("127.0.0.1", port):
            return port
    raise OSError("200 ports between 15000 and 32000 were tried, and all are taken")


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


async def until_signalled(work: Awaitable[None]) -> bool:
    """Do `work`, but cancel it at Ctrl-C, SIGTERM or when the terminal is closed; whether that happened.

    A second signal cancels what `work` does to end: what it leaves undone is left to its `Guard`.
    """
    task = asyncio.ensure_future(work)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not signalled:
            raise
        return True
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    return False
