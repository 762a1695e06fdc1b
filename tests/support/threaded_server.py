"""An HTTP server of the tests that runs in a thread of its own, so that a test can wait for what drives it."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.support.ports import free_port

STOP_S = 0.1


class ThreadedServer(ABC):
    """Serves on a port of its own within the block, and again in a block after that."""

    def __init__(self) -> None:
        self.port = free_port()

    @abstractmethod
    def make_runner(self) -> web.BaseRunner:
        """What answers requests. Called on the event loop that serves."""

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
        runner = self.make_runner()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        started.set()
        await self._end.wait()
        await runner.cleanup()
