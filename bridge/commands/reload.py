"""`bridge reload`: new code and new settings, without losing a callback."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def reload(
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long to wait until all processes are replaced.")
    ] = 300.0,
) -> None:
    """Let the ingress of this machine take the program as it is installed now, and its settings, and lose nothing."""
    from bridge.commands.reloading import run

    run(timeout_s=timeout)
