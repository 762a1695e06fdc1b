"""What the commands for people print: styled on a terminal, plain lines elsewhere; and that nobody may read it all."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from common.text import plural, printable

__all__ = [
    "CommandGroup",
    "Output",
    "ShowProgress",
    "is_output_unread",
    "plural",
    "printable",
    "progress_bar",
    "run_program",
    "show_table",
]


class CommandGroup(TyperGroup):
    """The commands of a program, for `typer.Typer(cls=…)`.

    When nobody reads its output any more, as in `bridge tail | head -1`, the program ends in silence with status 0.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments, and print the help where they ask for it."""
        with _ended_when_unread():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        with _ended_when_unread():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


def run_program(app: typer.Typer) -> None:
    """Run the command that the arguments of this process name, and end the process: the entry point of a program.

    Args:
        app: the commands, a `CommandGroup`.

    Raises:
        SystemExit: always, with the status of the command.
    """
    Console.on_broken_pipe = _reraise  # type: ignore[method-assign, assignment]  # rich would end the program with status 1
    try:
        app()
    finally:
        # The interpreter flushes what is left, and where that fails makes the status 120, whatever it was.
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_output()


def is_output_unread(error: OSError) -> bool:
    """Whether an error came of standard output, which nobody reads any more, and not of a broken connection."""
    if not isinstance(error, BrokenPipeError):
        return False
    poll = select.poll()
    poll.register(1, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


@contextmanager
def _ended_when_unread() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        if not is_output_unread(error):
            raise
        _discard_output()
        raise typer.Exit(0) from None


def _discard_output() -> None:
    """Let what is still buffered for standard output go nowhere."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)


def _reraise(_console: Console) -> None:
    raise  # noqa: PLE0704 - rich calls it where it handles the error


class Output:
    """Standard output for results, standard error for remarks about them."""

    def __init__(self) -> None:
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)

    def line(self, text: str | Text = "", style: str = "") -> None:
        """A line of the result. It is not wrapped, so that what is copied from it is whole; markup has no meaning."""
        self._out.print(Text(text, style) if isinstance(text, str) else text, soft_wrap=True)

    def raw(self, value: bytes) -> None:
        """Bytes as they are, and the end of the line."""
        sys.stdout.buffer.write(value + b"\n")
        sys.stdout.buffer.flush()

    def remark(self, text: str, style: str = "yellow") -> None:
        """A line on standard error."""
        self._err.print(Text(text, style), soft_wrap=True)

    def error(self, text: str) -> None:
        """Why the command could not do what it should."""
        self.remark(f"error: {text}", "red")

    def show_log(self, name: str, tail: str) -> None:
        """The end of the log of a process that failed."""
        self.line(f"The last lines of the log of the {name}:" if tail else f"The {name} has logged nothing.")
        for line in tail.splitlines():
            self.line(f"  {printable(line)}", "dim")


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table; where standard output is no terminal, its rows as lines with tabs for programs.

    The first column, of names to be copied, is never cut.
    """
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(map(str, row)))
        return
    table = Table()
    for number, header in enumerate(headers):
        table.add_column(header, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


class ShowProgress(Protocol):
    """Moves a progress bar.

    Args:
        completed: how much is done.
        total: of how much; None where nobody knows.
        title: replaces the bar's title, e.g. with what is waited for.
    """

    def __call__(self, completed: int, total: int | None, *, title: str | None = None) -> None: ...


@contextmanager
def progress_bar(title: str, *, in_bytes: bool = False) -> Iterator[ShowProgress]:
    """A bar on standard error within the block, for a command that takes long.

    Args:
        title: what is done.
        in_bytes: whether numbers are bytes, to be shown as kB, MB, ….
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(printable(title), total=None)

        def show(completed: int, total: int | None, *, title: str | None = None) -> None:
            description = None if title is None else printable(title)
            progress.update(task, completed=completed, total=total, description=description)

        yield show
