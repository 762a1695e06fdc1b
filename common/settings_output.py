"""Shows all settings of a program, or brings the page of the documentation about them up to date."""

from __future__ import annotations

from pathlib import Path

import typer

from common.settings import SettingsGroup
from common.settings.page import MissingMarksError, write_settings
from common.settings.reference import reference
from common.terminal import Output, is_terminal, show_table


def show_or_write(settings_class: type[SettingsGroup], program: str, page: Path | None, *, check: bool) -> None:
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
