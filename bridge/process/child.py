"""What a process does that the supervisor started: it serves, and tells the supervisor that it lives."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvloop

from bridge.process.app import serve
from bridge.process.heartbeat import Heart
from bridge.settings import BridgeSettings
from common import logs
from common.kafka import diagnosis
from common.settings import load_settings

log = logging.getLogger(__name__)


def run(listener_fd: int, parent_fd: int, admin: str, number: str) -> None:
    """Serve callbacks until told to stop.

    Args:
        listener_fd: descriptor of the bound socket.
        parent_fd: descriptor of what the parent has the other end of.
        admin: path for the admin pages.
        number: marks its lines in the log.

    Raises:
        SystemExit: it cannot; why is in the log.
    """
    settings = load_settings(BridgeSettings)
    logs.configure(log_format=settings.log_format, level=settings.log_level, process=number)
    diagnosis.watch()
    try:
        with socket.socket(fileno=listener_fd) as listener, socket.socket(fileno=parent_fd) as parent:
            uvloop.run(_serve(settings, listener, parent, admin))
    except OSError as error:
        log.error("this process cannot serve: %s", error.strerror or error)
        raise SystemExit(1) from None


async def _serve(settings: BridgeSettings, listener: socket.socket, parent: socket.socket, admin: str) -> None:
    heart = Heart(parent)
    heartbeats = asyncio.create_task(heart.beat())
    try:
        await serve(settings, listener, admin_socket=admin, accepting=heart.accepting)
    finally:
        heartbeats.cancel()
