"""`bridge console`: a page to look at."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def console(
    host: Annotated[str | None, typer.Option(help="Address of the page. Default: BRIDGE_CONSOLE_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Its port; 0: any that is free. Default: BRIDGE_CONSOLE_PORT.")
    ] = None,
) -> None:
    """Serve a page that shows what comes in, what became of it, and what to do about what did not."""
    from bridge.console.serving import run

    run(host=host, port=port)
