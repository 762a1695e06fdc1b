"""What a process does that was forked to serve: it serves, and tells its parent that it lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from pathlib import Path

import uvloop
from prometheus_client import generate_latest

from bridge import metrics
from bridge.process.app import Leaving, serve
from bridge.process.heartbeat import Heart
from bridge.settings import BridgeSettings
from common import logs
from common.asyncio_tools import on_stop_signal
from common.kafka import diagnosis
from common.logs import fields

log = logging.getLogger(__name__)

CANNOT_SERVE = 78
"""The exit status of a process that cannot begin, and says why in the log (EX_CONFIG of sysexits.h)."""
ALONE_MARGIN_S = 2.0
"""Beyond the time of a stop, how long a process lives at most whose parent is gone."""
PARENT_S = 1.0
"""How long a process goes on that was sent the signal to stop, unless its parent asks it. Whoever signals a group of
processes signals the parent too: until that has closed the port, somebody has to accept."""
REPLACED = signal.SIGUSR2
"""Tells a process that a successor accepts in its place."""


def run(
    settings: BridgeSettings,
    listener: socket.socket,
    parent: socket.socket,
    admin: Path,
    name: str,
    *,
    is_awaited: bool,
) -> None:
    """Serve callbacks until told to stop. What a process does once, its parent has done for it (`warm_up`).

    Args:
        listener: bound, and shared with the other processes.
        parent: what the parent has the other end of.
        admin: path for the admin pages.
        name: marks its lines in the log.
        is_awaited: callbacks wait for it, and nobody else accepts them.

    Raises:
        SystemExit: it cannot; why is in the log.
    """
    if listener.fileno() < 0:
        return  # All is to end: the parent has closed its port since it asked for us.
    # What files held when the parent read them may be replaced since.
    settings = settings.latest()
    logs.configure(log_format=settings.log_format, level=settings.log_level, process=name)
    diagnosis.watch()
    try:
        uvloop.run(_serve(settings, listener, parent, admin, is_awaited=is_awaited))
    except OSError as error:
        log.error(
            "this process cannot serve: %s",
            error.strerror or error,
            extra=fields("cannot_serve", reason=error.strerror or str(error)),
        )
        raise SystemExit(CANNOT_SERVE) from None


async def _serve(
    settings: BridgeSettings, listener: socket.socket, parent: socket.socket, admin: Path, *, is_awaited: bool
) -> None:
    leaving = Leaving()

    def alone() -> None:
        leaving.alone.set()
        # Nobody else would end it, should its disk never answer: the system does, whatever the event loop waits for.
        signal.setitimer(signal.ITIMER_REAL, settings.stop_timeout_s + ALONE_MARGIN_S)

    heart = Heart(parent, on_stop=leaving.stop.set, on_alone=alone)
    heartbeats = asyncio.create_task(heart.beat())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(REPLACED, leaving.replaced.set)
    with on_stop_signal(lambda: loop.call_later(PARENT_S, leaving.stop.set)):
        try:
            await serve(
                settings,
                listener,
                admin_socket=str(admin),
                leaving=leaving,
                accepting=heart.accepting,
                is_awaited=is_awaited,
            )
        finally:
            heartbeats.cancel()
    if not leaving.alone.is_set():
        _leave_metrics(last_metrics(admin))


def last_metrics(admin: Path) -> Path:
    """Where a process leaves its page of metrics at its end: what it counted since it was asked last is in no other.

    Args:
        admin: path of its admin pages.
    """
    return admin.with_suffix(".metrics")


def _leave_metrics(path: Path) -> None:
    with contextlib.suppress(OSError):
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(generate_latest(metrics.REGISTRY))
        unfinished.rename(path)
