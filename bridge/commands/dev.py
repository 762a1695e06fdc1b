"""`bridge dev`: the whole project on one machine, up until Ctrl-C, with what happens in it as it happens."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def dev(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for callbacks; 0: any that is free. Default: BRIDGE_PORT, or 8080."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address for callbacks; 0.0.0.0 to let other machines post. Default: BRIDGE_HOST, or 127.0.0.1."
        ),
    ] = None,
) -> None:
    """Run everything on this machine, Kafka and Redis included, until Ctrl-C; show what happens."""
    from bridge.commands.playground import run

    run(host=host, port=port)
