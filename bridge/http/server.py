"""The public port: bound once, and shared by all processes of an ingress."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.http.connection import Connection, Intake
from common.logs import Throttle

log = logging.getLogger(__name__)

BACKLOG = 1024
RETRY_AFTER = 0.1

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def listen(host: str, port: int) -> socket.socket:
    """Bind the port of the callbacks.

    Raises:
        OSError: it is taken. The message says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}") from error


class HttpServer(web.Server):
    """aiohttp's server, which also closes connections that do not bring a first request.

    Args:
        handler: answers requests.
        intake: where usual ones go first: see `bridge.http.connection`.
        head_timeout: seconds for the first request's head to arrive.
        most_body: bytes; a larger body is refused while it is read.
        settings: of each connection, as aiohttp has them.
    """

    def __init__(
        self, handler: Handler, intake: Intake, *, head_timeout: float, most_body: int, **settings: Any
    ) -> None:
        super().__init__(handler, request_factory=self._request)
        self._connection = partial(Connection, intake, self, loop=self._loop, logger=_http_log(), **settings)
        self._head_timeout = head_timeout
        self._most_body = most_body

    def __call__(self) -> Connection:
        """A new connection."""
        return self._connection()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Expect a request."""
        super().connection_made(handler, transport)
        self._loop.call_later(self._head_timeout, self._close_if_silent, handler)

    def _close_if_silent(self, handler: web.RequestHandler) -> None:
        if isinstance(handler, Connection) and not handler.has_requested:
            handler.force_close()

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=self._most_body)


class WithoutBrokenRequests(logging.Filter):
    """Says of a request that is no HTTP only that it came, and not of each: aiohttp would quote it, secrets and all."""

    def __init__(self) -> None:
        super().__init__()
        self._throttle = Throttle()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        kind = type(error).__name__
        record.exc_info = record.exc_text = None
        record.msg, record.args = "a request that is no HTTP was answered %d (%s)", (error.code, kind)
        return self._throttle.admits(kind)


def _http_log() -> logging.Logger:
    logger = logging.getLogger(f"{__name__}.http")
    if not logger.filters:
        logger.addFilter(WithoutBrokenRequests())
    return logger


class Acceptor:
    """Takes connections from a listening socket, one at a time.

    An event loop's own server takes all that wait at once; of several processes on one socket, the first to wake would
    get all connections of a client that opens many. Taken one by one they spread over the processes.

    Args:
        listener: the socket, which other processes may share.
        server: handles the connections.
        most: most connections at a time; beyond it, they wait in the socket's queue.
    """

    def __init__(self, listener: socket.socket, server: web.Server, *, most: int) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._server = server
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Take what has reached the socket already, then close it."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listener.fileno())
        with contextlib.suppress(OSError):
            while True:
                self._take()
        self._listener.close()

    def _accept(self) -> None:
        if len(self._server.connections) >= self._most:
            self._pause()
            return
        try:
            self._take()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # Another process was faster, or the client is gone already.
        except OSError as error:
            log.error("cannot accept connections: %s", error.strerror)
            self._pause()

    def _take(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._server, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._connecting.discard(task)
        if not task.cancelled():
            task.exception()  # The client is gone already: nothing to do, and nothing to say.

    def _pause(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._retry = self._loop.call_later(RETRY_AFTER, self.start)
