"""An HTTP handler of callbacks that knows nothing of Kafka, as a team may have it already."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.support.process import free_port


@dataclass(frozen=True)
class Post:
    """A request as the handler got it; `query` without its `?`."""

    query: str
    body: bytes
    headers: dict[str, str]

    @property
    def event_id(self) -> str:
        return self.headers["X-Im-Bridge-Event-Id"]


class HttpHandler:
    """A team's HTTP handler, in a thread of its own; used as a context.

    `status` decides what it answers to a post; None: nothing, the connection is closed. `posts` are all that came.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.posts: list[Post] = []
        self.status: Callable[[Post], int | None] = lambda _: 200
        self._started = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callbacks"

    @property
    def accepted(self) -> list[Post]:
        return [post for post in self.posts if self.status(post) == 200]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._started.set()
        await self._end.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        post = Post(request.raw_path.partition("?")[2], await request.read(), dict(request.headers))
        self.posts.append(post)
        status = self.status(post)
        if status is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 200, headers={"Location": "/elsewhere"} if status == 302 else {})
