"""The private admin port of every process: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


@dataclass(frozen=True)
class Readiness:
    """Whether the process can do its work, and the state of each thing that it depends on."""

    ready: bool
    detail: dict[str, str] = field(default_factory=dict)


class AdminServer:
    """Serves the admin port. `port` 0 means none."""

    def __init__(
        self, host: str, port: int, *, readiness: Callable[[], Readiness], registry: CollectorRegistry
    ) -> None:
        self._host = host
        self._port = port
        self._readiness = readiness
        self._registry = registry
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Bind the port.

        Raises:
            OSError: the port is taken.
        """
        if self._port == 0:
            return
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        readiness = self._readiness()
        body = orjson.dumps({"ready": readiness.ready, **readiness.detail}, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(body=body, status=200 if readiness.ready else 503, content_type="application/json")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
