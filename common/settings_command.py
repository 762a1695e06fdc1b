"""The command `settings` of each program: a table of them all, or the reference on a page of the documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from common.settings import SettingsGroup
from common.settings.page import MissingMarksError, write_settings
from common.settings.reference import reference
from common.terminal import Output, is_terminal, show_table


def settings_command(settings_class: type[SettingsGroup], program: str) -> Callable[[Path | None, bool], None]:
    """The command of a program that has these settings."""

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
        _show_or_write(settings_class, program, page, check=check)

    return settings


def _show_or_write(settings_class: type[SettingsGroup], program: str, page: Path | None, *, check: bool) -> None:
    """Print every setting, or bring a page up to date; with `check` only see whether it is.

    Raises:
        typer.Exit: the page is stale (1), or cannot be read, written or understood (2).
    """
    output = Output()
    if page is None:
        if check:
            output.error("--check is about a page: name it with --page")
            raise typer.Exit(2)
        _show(settings_class, output)
        return
    try:
        was_current = write_settings(page, settings_class, program, check=check)
    except OSError as error:
        output.error(f"{page} cannot be {'read' if check else 'read or written'}: {error.strerror}")
        raise typer.Exit(2) from None
    except (MissingMarksError, UnicodeDecodeError) as error:
        output.error(f"{page} cannot be used: {error}")
        raise typer.Exit(2) from None
    if not was_current:
        output.line(f"stale: {page}: run {program} settings --page {page}" if check else f"written: {page}")
        raise typer.Exit(1 if check else 0)


def _show(settings_class: type[SettingsGroup], output: Output) -> None:
    for section in reference(settings_class):
        if is_terminal():
            output.line(section.heading, "bold")
        rows = [(entry.variable, entry.default, entry.meaning, entry.values) for entry in section.entries]
        show_table(("setting", "default", "meaning", "values"), rows)
