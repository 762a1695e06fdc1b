"""A command of a program, without what it needs."""

from __future__ import annotations

from typing import NamedTuple


class LazyCommand(NamedTuple):
    """A command that is imported when it is used."""

    place: str
    """Where it is: `package.module:name` of a function, or of a `typer.Typer` with commands of its own."""
    summary: str
    """What it does, in the words of its own help."""
    is_for_programs: bool = False
    """Whether no person calls it: then the help of the program does not list it."""
