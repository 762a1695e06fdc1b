"""The command `settings` of each program: a table of them all, or the reference on a page of the documentation."""
# ruff: noqa: PLC0415 - help is there at once: what the command needs is imported when it runs

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer


def settings_command(place: str, program: str) -> Callable[[Path | None, bool], None]:
    """The command of a program.

    Args:
        place: of the class of its settings, `package.module:Class`; imported when the command runs.
        program: `bridge` or `consumers`.
    """

    def settings(
        page: Annotated[
            Path | None, typer.Option(help="Write them into this page of the documentation, instead of printing them.")
        ] = None,
        check: Annotated[
            bool,
            typer.Option("--check", help="Write nothing; exit status 1 if the page is stale, 2 if it cannot be used."),
        ] = False,
    ) -> None:
        """Print every setting: its default, its meaning, the values that it takes."""
        from common.settings_output import show_or_write

        module, _, name = place.partition(":")
        show_or_write(getattr(import_module(module), name), program, page, check=check)

    return settings
