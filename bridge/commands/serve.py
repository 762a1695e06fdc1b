"""`bridge serve`: accepts callbacks and publishes them."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

import signal
from typing import Annotated

import typer


def serve(
    workers: Annotated[int | None, typer.Option(help="Processes on the port (BRIDGE_WORKERS).")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it would start with these settings; nothing is begun.")
    ] = False,
) -> None:
    """Accept callbacks and publish them, until SIGTERM; SIGHUP reloads program and settings."""
    if not check:  # Until that can be done, a request for it waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    from bridge.process.check import check as check_start
    from bridge.process.supervisor import supervise
    from bridge.process.taking_over import once_right
    from bridge.settings import BridgeSettings
    from common import logs
    from common.kafka import diagnosis
    from common.settings import load_settings

    given = {} if workers is None else {"workers": workers}
    settings = once_right(lambda: load_settings(BridgeSettings, **given))
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    try:
        if check:
            check_start(settings)
        elif status := supervise(settings):
            raise SystemExit(status)
    except OSError as error:
        raise SystemExit(f"error: {error.strerror or error}") from error
