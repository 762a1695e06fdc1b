"""The floor: aiohttp's low-level server with a handler that does nothing. `python -m bench.servers.noop PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

from bench.servers.by_hand import OK


async def handle(_request: web.BaseRequest) -> web.Response:
    """Answer as the platform wants it."""
    return web.Response(body=OK, headers={"Content-Type": "application/json"})


async def main(port: int) -> None:
    """Serve for ever."""
    server = web.Server(handle, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
