"""Accepts connections from a listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from bridge.http.server import HttpServer
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

RETRY_AFTER_S = 0.1


class Acceptor:
    """Accepts connections from a listening socket, one at a time.

    An event loop's own server accepts all that wait at once; of several processes on one socket, the first to wake
    would get all connections of a client that opens many. Accepted one by one they spread over the processes.

    Args:
        listener: the socket, which other processes may share.
        server: handles the connections.
    """

    def __init__(self, listener: socket.socket, server: HttpServer) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._begin = self._connect if server.front is None else server.front.begin
        self._retry: asyncio.TimerHandle | None = None
        self._throttle = Throttle(10.0)

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Accept what has reached the socket already, then close it. Once it is closed, nothing."""
        if self._listener.fileno() < 0:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listener.fileno())
        with contextlib.suppress(OSError):
            while True:
                self._accept_one()
        self._listener.close()

    def _accept(self) -> None:
        displaced = self._server.table.giving_way(coming=len(self._connecting))
        if displaced is None:
            self._pause("all connections are in use, and none of them is idle")
            return
        try:
            self._accept_one()
            self._server.table.displace(displaced)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # Another process was faster, or the client is gone already.
        except OSError as error:
            self._pause(error.strerror or str(error))

    def _accept_one(self) -> None:
        connection, address = self._listener.accept()
        connection.setblocking(False)
        self._begin(connection, address)

    def _connect(self, connection: socket.socket, _address: object) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._server.connection, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._connecting.discard(task)
        if not task.cancelled():
            task.exception()  # The client is gone already: nothing to do, and nothing to say.

    def _pause(self, why: str) -> None:
        if self._throttle.admits(why):
            log.error(
                "cannot accept connections: %s; %d times before",
                why,
                self._throttle.suppressed(why),
                extra=fields("cannot_accept", reason=why),
            )
        self._loop.remove_reader(self._listener.fileno())
        self._retry = self._loop.call_later(RETRY_AFTER_S, self.start)
