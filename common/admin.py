"""The private admin port of every process: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


@dataclass(frozen=True)
class Readiness:
    """Whether the process can do its work, and the state of each thing that it depends on."""

    ready: bool
    detail: Mapping[str, object] = field(default_factory=dict)


class AdminServer:
    """Serves the admin port.

    Args:
        host, port: where; port 0 means nowhere.
        readiness: asked for `/readyz`.
        registry: shown by `/metrics`.
        unix_socket: a path to serve on instead of a port.
        refresh: awaited before an answer is made of `readiness` or `registry`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        readiness: Callable[[], Readiness],
        registry: CollectorRegistry,
        unix_socket: str | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._unix_socket = unix_socket
        self._readiness = readiness
        self._registry = registry
        self._refresh = refresh
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Bind the port.

        Raises:
            OSError: the port is taken.
        """
        if self._port == 0 and self._unix_socket is None:
            return
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        if self._unix_socket is not None:
            # A predecessor that was killed has left it.
            Path(self._unix_socket).unlink(missing_ok=True)  # noqa: ASYNC240
            await web.UnixSite(self._runner, self._unix_socket).start()
        else:
            try:
                await web.TCPSite(self._runner, self._host, self._port).start()
            except OSError as error:
                why = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror
                message = f"cannot serve health checks on {self._host} port {self._port}: {why}. See …_ADMIN_PORT"
                raise OSError(error.errno, message) from error

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        await self._refreshed()
        readiness = self._readiness()
        body = orjson.dumps({"ready": readiness.ready, **readiness.detail}, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(body=body, status=200 if readiness.ready else 503, content_type="application/json")

    async def _metrics(self, _request: web.Request) -> web.Response:
        await self._refreshed()
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _refreshed(self) -> None:
        if self._refresh is not None:
            await self._refresh()
