"""The public port: bound once, and shared by all processes of an ingress."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from aiohttp import web

log = logging.getLogger(__name__)

BACKLOG = 1024
RETRY_AFTER = 0.1


def listen(host: str, port: int) -> socket.socket:
    """Bind the port of the callbacks.

    Raises:
        OSError: it is taken. The message says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error


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
        with contextlib.suppress(BlockingIOError, InterruptedError, ConnectionAbortedError):
            try:
                self._take()
            except BlockingIOError:  # Another process was faster.
                raise
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
