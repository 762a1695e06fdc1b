"""An endpoint that decides, as a user of the bridge would have one: a real HTTP server, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from tests.support.ports import free_port

Event = dict[str, Any]


class DecidingEndpoint:
    """Answers each question with `answer`: the status, and the body as bytes or to be written as JSON.

    `delay_s` is how long an answer takes. May be closed and started again: it stays on its port.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.answer: Callable[[Event], tuple[int, Any]] = lambda _event: (204, None)
        self.delay_s = 0.0
        self.events: list[Event] = []
        """What it was asked about."""
        self.content_types: set[str] = set()
        self.headers: list[dict[str, str]] = []
        """Of each question, by names in lower case."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def url(self, path: str = "/decide", *, credentials: str = "") -> str:
        """Where it is asked."""
        return f"http://{credentials}127.0.0.1:{self.port}{path}"

    def start(self) -> Self:
        """Listen."""
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(10), "the endpoint does not start"
        return self

    def close(self) -> None:
        """Close the port; what is being asked gets no answer. May be called more than once."""
        if self._thread is None:
            return
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._thread = None

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        runner = web.ServerRunner(web.Server(self._decide, access_log=None), shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _decide(self, request: web.BaseRequest) -> web.Response:
        event = orjson.loads(await request.read())
        self.events.append(event)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.content_types.add(request.headers["Content-Type"])
        await asyncio.sleep(self.delay_s)
        status, content = self.answer(event)
        body = content if isinstance(content, bytes) else b"" if content is None else orjson.dumps(content)
        return web.Response(status=status, body=body)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
