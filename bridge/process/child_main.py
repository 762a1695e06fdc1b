"""A process that the supervisor started: `python -m bridge.process.child_main LISTENER PARENT ADMIN_SOCKET NUMBER`."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from bridge.process.app import serve
from bridge.process.heartbeat import Heart
from bridge.settings import BridgeSettings
from common import logs, streams
from common.kafka import diagnosis
from common.settings import load_settings


async def _run(settings: BridgeSettings, listener: socket.socket, parent: socket.socket, admin: str) -> None:
    heart = Heart(parent)
    heartbeats = asyncio.create_task(heart.beat())
    try:
        await serve(settings, listener, admin_socket=admin, accepting=heart.accepting)
    finally:
        heartbeats.cancel()


def main() -> None:
    """Serve callbacks on an inherited socket."""
    streams.protect()
    listener_fd, parent_fd, admin, number = sys.argv[1:]
    settings = load_settings(BridgeSettings)
    logs.configure(log_format=settings.log_format, level=settings.log_level, process=number)
    diagnosis.watch()
    with socket.socket(fileno=int(listener_fd)) as listener, socket.socket(fileno=int(parent_fd)) as parent:
        uvloop.run(_run(settings, listener, parent, admin))


if __name__ == "__main__":
    main()
