"""`bridge settings`: every setting of the ingress."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def settings(
    page: Annotated[
        Path | None, typer.Option(help="Write them into this page of the documentation, instead of printing them.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 if the page is stale, 2 if it cannot be used.")
    ] = False,
) -> None:
    """Print every setting: its default, its meaning, the values that it takes."""
    from bridge.settings import BridgeSettings
    from common.settings_command import show_or_write

    show_or_write(BridgeSettings, "bridge", page, check=check)
