"""`bridge schemas`: the schemas and the reference of the events, as files."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def schemas(
    folder: Annotated[Path, typer.Option("--dir", help="Where the schemas are.")] = Path("schemas"),
    docs: Annotated[
        Path, typer.Option(help="Where the reference is: its index; the pages are in the folder of that name.")
    ] = Path("docs/events.md"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 if a file is stale, 2 if there are none.")
    ] = False,
) -> None:
    """Write the schemas and the reference of the events, as the code has them."""
    from bridge.contract.schemas import differences, write
    from common.terminal import Output

    output = Output()
    if check and not folder.is_dir() and not docs.is_file():
        output.error(
            f"there is nothing to check: {Path.cwd()} has neither {folder}/ nor {docs}, which the source tree of"
            " im-bridge has. Run this there, or name what is to be checked with --dir and --docs"
        )
        raise typer.Exit(2)
    try:
        stale = differences(folder, docs) if check else write(folder, docs)
    except OSError as error:
        output.error(f"{error.filename} cannot be {'read' if check else 'written'}: {error.strerror}")
        raise typer.Exit(2) from None
    for path in stale:
        output.line(f"{'stale' if check else 'written' if path.exists() else 'removed'}: {path}")
    if check and stale:
        raise typer.Exit(1)
