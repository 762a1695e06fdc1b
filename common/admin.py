"""The private admin port of every process: `/healthz`, `/readyz`, `/metrics`, and what a process has besides."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from common.get_server import GetServer, ServedPage
from common.listening import listen, listen_at

LISTEN_BACKLOG = 128
JSON = "application/json"


@dataclass(frozen=True)
class Readiness:
    """Whether the process can do its work, and the state of each thing that it depends on."""

    ready: bool
    detail: Mapping[str, object] = field(default_factory=dict)


def listen_for_admin(host: str, port: int) -> socket.socket:
    """Take the admin port.

    Raises:
        OSError: it is taken, or not ours. The message says which, and its settings.
    """
    try:
        return listen(host, port, backlog=LISTEN_BACKLOG, purpose=" for health checks and metrics")
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}. See …_ADMIN_HOST and …_ADMIN_PORT") from error


class AdminServer:
    """Serves the admin port.

    Args:
        host, port: where; port 0 means nowhere.
        readiness: asked for `/readyz`.
        registry: shown by `/metrics`.
        unix_socket: a path to serve on instead of a port.
        listener: a socket that listens, to serve on instead of both. It is closed at the end.
        refresh: awaited before an answer is made of `readiness` or `registry`.
        pages: path → makes the JSON of a further page.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        readiness: Callable[[], Readiness],
        registry: Collector,
        unix_socket: str | None = None,
        listener: socket.socket | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
        pages: Mapping[str, Callable[[], Awaitable[bytes]]] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._unix_socket = unix_socket
        self._listener = listener
        self._readiness = readiness
        self._registry = registry
        self._refresh = refresh
        self._pages = pages or {}
        self._server: GetServer | None = None

    async def start(self) -> None:
        """Bind the port.

        Raises:
            OSError: the port is taken.
        """
        if self._port == 0 and self._unix_socket is None and self._listener is None:
            return
        self._server = GetServer(self._listen(), self._page)

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            await self._server.stop()
        if self._unix_socket is not None:
            Path(self._unix_socket).unlink(missing_ok=True)  # noqa: ASYNC240

    def _listen(self) -> socket.socket:
        if self._listener is not None:
            return self._listener
        if self._unix_socket is not None:
            return listen_at(Path(self._unix_socket), backlog=LISTEN_BACKLOG)
        return listen_for_admin(self._host, self._port)

    async def _page(self, path: str) -> ServedPage:
        match path:
            case "/healthz":
                return ServedPage(b"ok\n")
            case "/readyz":
                return await self._readyz()
            case "/metrics":
                await self._refreshed()
                return ServedPage(generate_latest(self._registry), CONTENT_TYPE_LATEST)
        if path in self._pages:
            return ServedPage(await self._pages[path](), JSON)
        *others, last = ("/healthz", "/readyz", "/metrics", *self._pages)
        return ServedPage(f"there are {', '.join(others)} and {last}\n".encode(), status=HTTPStatus.NOT_FOUND)

    async def _readyz(self) -> ServedPage:
        await self._refreshed()
        readiness = self._readiness()
        body = orjson.dumps({"ready": readiness.ready, **readiness.detail}, option=orjson.OPT_APPEND_NEWLINE)
        return ServedPage(body, JSON, HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def _refreshed(self) -> None:
        if self._refresh is not None:
            await self._refresh()
