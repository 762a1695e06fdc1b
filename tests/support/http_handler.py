"""An HTTP handler of callbacks that knows nothing of Kafka, as a team may have it already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tests.support.threaded_server import STOP_S, ThreadedServer


@dataclass(frozen=True)
class Post:
    """A request as the handler got it; `query` without its `?`."""

    query: str
    body: bytes
    headers: dict[str, str]

    @property
    def event_id(self) -> str:
        return self.headers["X-Im-Bridge-Event-Id"]


class HttpHandler(ThreadedServer):
    """A team's HTTP handler, in a thread of its own; used as a context.

    `status` decides what it answers to a post; None: nothing, the connection is closed. `posts` are all that came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[Post] = []
        self.status: Callable[[Post], int | None] = lambda _: 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callbacks"

    @property
    def accepted(self) -> list[Post]:
        return [post for post in self.posts if self.status(post) == 200]

    def make_runner(self) -> web.BaseRunner:
        """The handler alone, whatever the path."""
        return web.ServerRunner(web.Server(self._handle), shutdown_timeout=STOP_S)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        post = Post(request.raw_path.partition("?")[2], await request.read(), dict(request.headers))
        self.posts.append(post)
        status = self.status(post)
        if status is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 200, headers={"Location": "/elsewhere"} if status == 302 else {})
