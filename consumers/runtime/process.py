"""What every process of this package does around its work: the admin port, signals, an end in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

from common.admin import AdminServer, Readiness
from common.asyncio_tools import finish, on_stop_signal
from common.gc_tuning import tune_garbage_collector
from common.logs import fields
from common.metrics.loop_lag import watch_loop_lag
from consumers.metrics import Metrics
from consumers.settings import ConsumersSettings

_STEP_STOP_TIMEOUT_S = 1.0
"""For each of `stops`, which run side by side once the work has ended."""

log = logging.getLogger(__name__)


async def run_process(
    settings: ConsumersSettings,
    work: Coroutine[Any, Any, NoReturn],
    *,
    readiness: Callable[[], Readiness],
    metrics: Metrics,
    stops: Sequence[Callable[[], Coroutine[Any, Any, None]]],
) -> None:
    """Work until SIGTERM or SIGINT; then stop within CONSUMERS_STOP_TIMEOUT_S: cancel the work, then call `stops`.

    Args:
        settings: of the admin port and the time limit.
        work: done until it is cancelled.
        readiness, metrics: shown by the admin port.
        stops: what disconnects; each has a second.

    Raises:
        OSError: the admin port is taken.
        Exception: whatever ends `work`.
    """
    tune_garbage_collector()
    admin = AdminServer(settings.admin_host, settings.admin_port, readiness=readiness, registry=metrics.registry)
    try:
        await admin.start()
    except BaseException:
        work.close()
        raise
    stopping = asyncio.Event()
    with on_stop_signal(stopping.set):
        running = asyncio.create_task(work)
        watching = asyncio.create_task(watch_loop_lag(metrics.loop_lag_seconds.observe))
        signalled = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({running, signalled}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            log.info("stopping", extra=fields("stopping"))
        finally:
            signalled.cancel()
            watching.cancel()
            running.cancel()
            await asyncio.wait({running}, timeout=settings.stop_timeout_s - _STEP_STOP_TIMEOUT_S)
            ends = (finish(stop(), within_s=_STEP_STOP_TIMEOUT_S) for stop in (*stops, admin.stop))
            await asyncio.gather(*ends)
    log.info("stopped", extra=fields("stopped"))
