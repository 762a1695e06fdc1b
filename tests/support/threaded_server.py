"""Servers of the tests that run in threads of their own, so that a test can wait for what drives them."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.support.ports import free_port

STOP_S = 0.1


class Threaded(ABC):
    """Serves on a port of its own within the block, and again in a block after that."""

    def __init__(self) -> None:
        self.port = free_port()

    @abstractmethod
    def serving(self) -> AbstractAsyncContextManager[None]:
        """It serves within this block, on the event loop of the thread."""

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with self.serving():
            started.set()
            await self._end.wait()


class ThreadedServer(Threaded):
    """A server of HTTP."""

    @abstractmethod
    def make_runner(self) -> web.BaseRunner:
        """What answers requests. Called on the event loop that serves."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """It answers within this block."""
        runner = self.make_runner()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        yield
        await runner.cleanup()
