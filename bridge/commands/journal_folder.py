"""The folder of the journals that a command is about, and what is told where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from bridge.settings import RescueSettings
from common.settings import load_settings
from common.terminal import Output, printable


def existing_folder(folder: Path | None) -> Path:
    """The folder, by default that of the settings.

    Raises:
        typer.Exit: with 2, where it is none.
    """
    place = folder or load_settings(RescueSettings).journal_dir
    with told_in_a_line(place):
        if place.is_dir():
            return place
        what = "is no folder" if place.exists() else "does not exist"
    Output().error(printable(f"{place} {what}. Name the folder of the journals, or set BRIDGE_JOURNAL_DIR"))
    raise typer.Exit(2)


@contextmanager
def told_in_a_line(folder: Path) -> Iterator[None]:
    """What the disk does not let us do is told in a line."""
    try:
        yield
    except BrokenPipeError:  # Nobody reads what we print: that is no trouble of the disk.
        raise
    except PermissionError as error:
        Output().error(printable(f"{error.strerror}: {error.filename or folder}. Run it as the user of the ingress"))
        raise typer.Exit(1) from None
    except OSError as error:
        Output().error(printable(f"{folder} cannot be read: {error}"))
        raise typer.Exit(1) from None
