"""Children of a process that has an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from bridge.process import forking
from bridge.process.forking import Forks


async def ended(pid: int) -> int:
    async with asyncio.timeout(60):
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it returns at once
            if found:
                return os.waitstatus_to_exitcode(status)
            await asyncio.sleep(0.01)


def test_a_child_has_what_it_is_to_keep_and_nothing_else_of_its_parent() -> None:
    def tell(to: socket.socket) -> None:
        open_now = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
        handlers = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGCHLD)]
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        to.sendall(repr((sorted(open_now), handlers == [signal.SIG_IGN, signal.SIG_DFL], blocked)).encode())

    async def main(forks: Forks) -> tuple[str, int, int]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
        ours, theirs = socket.socketpair()
        with ours, theirs, socket.socket():
            pid = await forks.fork(lambda: tell(theirs), keep=(theirs.fileno(),))
            code = await ended(pid)
            return ours.recv(1000).decode(), theirs.fileno(), code

    told, kept, code = forking.run(main)
    descriptors, are_own_handlers, blocked = eval(told)
    assert code == 0
    (of_the_look,) = set(descriptors) - {0, 1, 2, kept}
    assert kept in descriptors
    assert of_the_look
    assert are_own_handlers
    assert not blocked


def test_a_signal_for_a_child_is_none_for_its_parent() -> None:
    async def main(forks: Forks) -> tuple[int, list[int]]:
        told: list[int] = []
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.append, 1)
        pid = await forks.fork(signal.pause, keep=())
        os.kill(pid, signal.SIGTERM)
        return await ended(pid), told

    assert forking.run(main) == (128 + signal.SIGTERM, [])


def test_what_a_child_raises_is_shown_and_ends_it_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)  # Pytest's has a descriptor of its own, which no child has.

    async def main(forks: Forks) -> list[int]:
        def fail() -> None:
            raise LookupError("nobody thought of it")

        def leave() -> None:
            raise SystemExit(78)

        return [await ended(await forks.fork(work, keep=())) for work in (fail, leave, lambda: None)]

    assert forking.run(main) == [1, 78, 0]
    assert "LookupError: nobody thought of it" in capfd.readouterr().err
