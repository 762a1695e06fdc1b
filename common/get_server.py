"""A small HTTP server for pages that are only read. Whoever reaches it can take little of the process.

One request on a connection, a few kilobytes of head, some seconds of time, and so many connections: when one more
comes, the oldest is closed. While all descriptors of the process are used up, it answers one client at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import urlsplit

from common.logs import Throttle, fields

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_HEAD_BYTES = 16 * 1024
HEAD_S = 5.0
"""How long a request may take to arrive."""
REPLY_S = 10.0
"""How long a client may take to read its reply."""
LINGER_S = 1.0
"""How long a client may take to close, after its reply."""
RETRY_AFTER_S = 0.1
RESERVE = 4
"""Descriptors that are kept for when there are no others: a connection, and what making a page opens."""
READ_BYTES = 4096
BLANK_LINE = b"\r\n\r\n"


@dataclass(frozen=True)
class ServedPage:
    """What is answered to a GET."""

    content: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()

    def render(self, *, has_content: bool = True) -> bytes:
        """Head and content, the latter only if asked for."""
        further = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = (
            f"HTTP/1.1 {self.status:d} {self.status.phrase}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.content)}\r\nDate: {formatdate(usegmt=True)}\r\n{further}"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + (self.content if has_content else b"")


class _BrokenError(Exception):
    """What came is no request that can be answered with a page."""

    def __init__(self, status: HTTPStatus, **headers: str) -> None:
        super().__init__(status.phrase)
        self.page = ServedPage(f"{status.phrase}\n".encode(), status=status, headers=tuple(headers.items()))


class _Reserve:
    """Descriptors that can be had when the process, or the system, has no others."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self.hold()

    def hold(self) -> None:
        """Take as many as there can be, up to RESERVE."""
        with contextlib.suppress(OSError):
            while len(self._held) < RESERVE:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def release(self) -> None:
        """Give them all back."""
        while self._held:
            os.close(self._held.pop())


class GetServer:
    """Serves pages on a socket.

    Args:
        listener: a bound socket that listens. It is closed at the end.
        page: gives the page at a path.
        max_connections: at a time.
        head_s: how long a request may take to arrive.
    """

    def __init__(
        self,
        listener: socket.socket,
        page: Callable[[str], Awaitable[ServedPage]],
        *,
        max_connections: int = MAX_CONNECTIONS,
        head_s: float = HEAD_S,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._page = page
        self._max_connections = max_connections
        self._head_s = head_s
        self._loop = asyncio.get_running_loop()
        self._serving: dict[asyncio.Task[None], None] = {}
        """The oldest first."""
        self._throttle = Throttle(10.0)
        self._reserve = _Reserve()
        self._accepting = self._loop.create_task(self._accept())

    async def stop(self) -> None:
        """Close the socket and all connections."""
        tasks = [self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._listener.close()
        self._reserve.release()

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listener)
            except OSError as error:
                if self._throttle.admits("accept"):
                    log.error(
                        "cannot accept connections for health checks: %s",
                        error.strerror,
                        extra=fields("cannot_accept", reason=error.strerror),
                    )
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    await self._serve_from_reserve()
                await asyncio.sleep(RETRY_AFTER_S)
                continue
            if len(self._serving) >= self._max_connections:
                oldest = next(iter(self._serving))
                oldest.cancel()
                await asyncio.wait({oldest})
            task = self._loop.create_task(self._serve(connection))
            self._serving[task] = None
            task.add_done_callback(self._serving.pop)

    async def _serve_from_reserve(self) -> None:
        """Serve one client with descriptors that are kept for this, and take them again."""
        self._reserve.release()
        try:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                await self._serve(connection)
        finally:
            self._reserve.hold()

    async def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, TimeoutError):
            reply = await self._reply(connection)
            async with asyncio.timeout(REPLY_S):
                await self._loop.sock_sendall(connection, reply)
            connection.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(LINGER_S):  # A reply may be lost if the connection is closed on unread bytes.
                for _ in range(MAX_HEAD_BYTES // READ_BYTES):
                    if not await self._loop.sock_recv(connection, READ_BYTES):
                        break

    async def _reply(self, connection: socket.socket) -> bytes:
        """The answer to the request that comes.

        Raises:
            OSError: the client left without one.
        """
        try:
            async with asyncio.timeout(self._head_s):
                method, path = _request(await self._head(connection))
        except _BrokenError as broken:
            return broken.page.render()
        except TimeoutError:
            return _BrokenError(HTTPStatus.REQUEST_TIMEOUT).page.render()
        return (await self._made(path)).render(has_content=method == b"GET")

    async def _made(self, path: str) -> ServedPage:
        try:
            return await self._page(path)
        except Exception:
            if self._throttle.admits("page"):
                log.exception("a page could not be made")
            return _BrokenError(HTTPStatus.INTERNAL_SERVER_ERROR).page

    async def _head(self, connection: socket.socket) -> bytes:
        head = b""
        while BLANK_LINE not in head:
            if len(head) > MAX_HEAD_BYTES:
                raise _BrokenError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            part = await self._loop.sock_recv(connection, READ_BYTES)
            if not part:
                raise ConnectionResetError
            head += part
        return head


def _request(head: bytes) -> tuple[bytes, str]:
    """Method and path of a request.

    Raises:
        _BrokenError: it is none, or not one for a page.
    """
    match head.lstrip(b"\r\n").partition(b"\r\n")[0].split(b" "):
        case [method, target, version] if version.startswith(b"HTTP/1."):
            if method not in {b"GET", b"HEAD"}:
                raise _BrokenError(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
            with contextlib.suppress(ValueError):
                return method, urlsplit(target.decode()).path
    raise _BrokenError(HTTPStatus.BAD_REQUEST)
