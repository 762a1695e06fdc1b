"""Tables for people on a terminal, and the same as lines with tabs for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table


def show(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Its first column, of names to be copied, is never cut."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table()
    for number, header in enumerate(headers):
        table.add_column(header, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
