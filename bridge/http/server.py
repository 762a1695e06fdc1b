"""The public port: bound once, and shared by all processes of an ingress."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.http.connection import FastPath, HttpConnection
from bridge.http.slow_path import SlowPath
from bridge.ingress.ingress import Ingress
from bridge.settings import BridgeSettings
from common.logs import Throttle

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 1024
RETRY_AFTER_S = 0.1


def listen(host: str, port: int) -> socket.socket:
    """Bind the port of the callbacks.

    Raises:
        OSError: it is taken. The message says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}") from error


class HttpServer(web.Server):
    """aiohttp's server with a fast path, which also closes connections that do not bring a first request.

    Args:
        ingress: accepts callbacks.
        flush: of the journal, called after each lot of callbacks.
        gather_s: how long callbacks gather to be handled as one lot.
        head_timeout_s: how long the head of a first request may take to arrive.
        body_timeout_s: how long a body may take to arrive.
        max_body_bytes: a larger body is refused, and not read to its end.
        keepalive_s: how long an idle connection is kept.
    """

    def __init__(
        self,
        ingress: Ingress,
        flush: Callable[[], None],
        *,
        gather_s: float,
        head_timeout_s: float,
        body_timeout_s: float,
        max_body_bytes: int,
        keepalive_s: float,
    ) -> None:
        self._fast_path = FastPath(ingress.accept, flush, gather_s=gather_s)
        slow_path = SlowPath(
            ingress,
            max_body_bytes=max_body_bytes,
            body_timeout_s=body_timeout_s,
            asks_to_close=lambda: self._fast_path.asks_to_close,
        )
        self._event_loop = asyncio.get_running_loop()
        super().__init__(slow_path.handle, request_factory=self._request, loop=self._event_loop)
        self._connection = partial(
            HttpConnection,
            self._fast_path,
            self,
            loop=self._event_loop,
            logger=_http_log(),
            access_log=None,
            keepalive_timeout=keepalive_s,
        )
        self._head_timeout_s = head_timeout_s
        self._max_body_bytes = max_body_bytes

    @classmethod
    def from_settings(cls, settings: BridgeSettings, ingress: Ingress, flush: Callable[[], None]) -> Self:
        """The one that the settings describe."""
        return cls(
            ingress,
            flush,
            gather_s=settings.gather_ms / 1000,
            head_timeout_s=settings.head_timeout_s,
            body_timeout_s=settings.body_timeout_s,
            max_body_bytes=settings.max_body_bytes,
            keepalive_s=settings.keepalive_s,
        )

    def ask_to_close(self) -> None:
        """From now on, each reply asks the client to close its connection."""
        self._fast_path.asks_to_close = True

    def __call__(self) -> HttpConnection:
        """A new connection."""
        return self._connection()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Expect a request."""
        super().connection_made(handler, transport)
        self._event_loop.call_later(self._head_timeout_s, self._close_if_silent, handler)

    def _close_if_silent(self, handler: web.RequestHandler) -> None:
        if isinstance(handler, HttpConnection) and not handler.has_requested:
            handler.force_close()

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._event_loop, client_max_size=self._max_body_bytes
        )


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
    """Accepts connections from a listening socket, one at a time.

    An event loop's own server accepts all that wait at once; of several processes on one socket, the first to wake
    would get all connections of a client that opens many. Accepted one by one they spread over the processes.

    Args:
        listener: the socket, which other processes may share.
        server: handles the connections.
        max_connections: at a time; beyond it, they wait in the socket's queue.
    """

    def __init__(self, listener: socket.socket, server: web.Server, *, max_connections: int) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._server = server
        self._max_connections = max_connections
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Accept what has reached the socket already, then close it."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listener.fileno())
        with contextlib.suppress(OSError):
            while True:
                self._accept_one()
        self._listener.close()

    def _accept(self) -> None:
        if len(self._server.connections) >= self._max_connections:
            self._pause()
            return
        try:
            self._accept_one()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # Another process was faster, or the client is gone already.
        except OSError as error:
            log.error("cannot accept connections: %s", error.strerror)
            self._pause()

    def _accept_one(self) -> None:
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
        self._retry = self._loop.call_later(RETRY_AFTER_S, self.start)
