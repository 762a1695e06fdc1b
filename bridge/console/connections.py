"""How many connections browsers may have, and how long one may be silent: whoever holds many keeps nobody else out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.console.guarding import is_open_to_all

BACKLOG = 128
IDLE_S = 20.0
"""Until a connection is closed that has sent no request, or half of one."""
MOST_CONNECTIONS = 768
"""More than there may be viewers; each takes a descriptor."""


class Connections:
    """Makes room for who comes by closing who waits for nothing, the oldest first.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._answering: set[object] = set()
        """Connections with a request of somebody who may look, which is being answered: these are not closed."""

    @web.middleware
    async def mark(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know of each request as long as it is answered; to be called for those that were let through."""
        if is_open_to_all(request.path):
            return await handler(request)
        self._answering.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._answering.discard(request.protocol)

    @asynccontextmanager
    async def accepting(self, server: web.Server, listener: socket.socket) -> AsyncIterator[None]:
        """Have a server answer what comes to a socket, while the block lasts."""
        loop = asyncio.get_running_loop()
        accepting = await loop.create_server(lambda: self._connected(server), sock=listener, backlog=BACKLOG)
        try:
            yield
        finally:
            accepting.close()

    def _connected(self, server: web.Server) -> asyncio.Protocol:
        open_now = [one for one in server.connections if one.transport is not None]
        if len(open_now) >= self._most:
            idle = next((one for one in open_now if one not in self._answering), None)
            if idle is None:
                return _Refused()
            idle.force_close()
        return server()


class _Refused(asyncio.Protocol):
    """A connection that there is no room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it."""
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
