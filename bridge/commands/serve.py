"""`bridge serve`: accepts callbacks and publishes them."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    workers: Annotated[int | None, typer.Option(help="Processes on the port (BRIDGE_WORKERS).")] = None,
) -> None:
    """Accept callbacks and publish them, until SIGTERM."""
    import uvloop

    from bridge.process import app
    from bridge.process.supervisor import Supervisor
    from bridge.settings import BridgeSettings
    from common import logs
    from common.kafka import diagnosis
    from common.settings import load_settings

    settings = load_settings(BridgeSettings, **({} if workers is None else {"workers": workers}))
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    diagnosis.watch()
    try:
        uvloop.run(app.serve(settings) if settings.workers == 1 else Supervisor(settings).run())
    except OSError as error:
        raise SystemExit(f"error: {error.strerror or error}") from error
