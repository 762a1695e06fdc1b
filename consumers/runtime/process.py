"""What every process of this package does around its work: the admin port, signals, an end in time."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry

from common.admin import AdminServer, Readiness
from common.asyncio_tools import finish
from consumers.settings import ConsumersSettings

_GC_THRESHOLDS = (50_000, 20, 100)

log = logging.getLogger(__name__)


async def run_process(
    settings: ConsumersSettings,
    work: Coroutine[Any, Any, NoReturn],
    *,
    readiness: Callable[[], Readiness],
    registry: CollectorRegistry,
    stops: Sequence[Callable[[], Coroutine[Any, Any, None]]],
) -> None:
    """Work until SIGTERM or SIGINT; then stop within CONSUMERS_STOP_TIMEOUT_S: cancel the work, then call `stops`.

    Raises:
        OSError: the admin port is taken.
        whatever ends `work`.
    """
    # A batch is thousands of objects that live until its end: the defaults would search all of them again and again.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    admin = AdminServer(settings.admin_host, settings.admin_port, readiness=readiness, registry=registry)
    try:
        await admin.start()
    except BaseException:
        work.close()
        raise
    stopping = _signalled()
    running = asyncio.create_task(work)
    signalled = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({running, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        log.info("stopping")
    finally:
        signalled.cancel()
        running.cancel()
        await asyncio.wait({running}, timeout=settings.stop_timeout_s - 1.0)
        await asyncio.gather(*(finish(stop(), within_s=1.0) for stop in (*stops, admin.stop)))
    log.info("stopped")


def _signalled() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
