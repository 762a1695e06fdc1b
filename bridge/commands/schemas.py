"""`bridge schemas`: the schemas and the reference of the events, as files."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def schemas(
    folder: Annotated[Path, typer.Option("--dir", help="Where the schemas are.")] = Path("schemas"),
    docs: Annotated[Path, typer.Option(help="Where the reference is.")] = Path("docs/events.md"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit status 1 if a file is stale.")] = False,
) -> None:
    """Write the schemas and the reference of the events, as the code has them."""
    from bridge.contract.schemas import differences, write

    stale = differences(folder, docs) if check else write(folder, docs)
    for path in stale:
        typer.echo(f"{'stale' if check else 'written'}: {path}")
    if check and stale:
        raise typer.Exit(1)
