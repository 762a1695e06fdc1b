"""What the commands for people print: styled on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from common import streams
from common.interrupts import be_interruptible
from common.text import plural, printable, safe_output

__all__ = ["Output", "ShowProgress", "is_terminal", "plural", "printable", "progress_bar", "show_table"]


class _Console(Console):
    """Styles what it prints, and lets no escape out that is not a style of its own."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(file=streams.styled(sys.stderr if stderr else sys.stdout), highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The parts of what is printed, each a text with its style."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(safe_output(segment.text), segment.style)


class Output:
    """Standard output for results, standard error for remarks about them."""

    def __init__(self) -> None:
        self._out = _Console()
        self._err = _Console(stderr=True)

    def line(self, text: str | Text = "", style: str = "") -> None:
        """A line of the result. It is not wrapped, so that what is copied from it is whole; markup has no meaning."""
        self._out.print(Text(safe_output(text), style) if isinstance(text, str) else text, soft_wrap=True)

    def json(self, text: str) -> None:
        """JSON on a line, as it is but for what a terminal would obey, which leaves as the escapes of JSON."""
        print(safe_output(text), flush=True)  # noqa: T201

    def clear(self) -> None:
        """Empty the screen, where standard output is one."""
        self._out.clear()

    def screen(self) -> Live:
        """The whole screen, as long as its block lasts, for something that is drawn again and again."""
        return Live(console=self._out, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def remark(self, text: str, style: str = "yellow") -> None:
        """A line on standard error."""
        self._err.print(Text(safe_output(text), style), soft_wrap=True)

    def error(self, text: str) -> None:
        """Why the command could not do what it should."""
        self.remark(f"error: {text}", "red")

    def show_log(self, name: str, tail: str) -> None:
        """The end of the log of a process that failed."""
        self.line(f"The last lines of the log of the {name}:" if tail else f"The {name} has logged nothing.")
        for line in tail.splitlines():
            self.line(f"  {printable(line)}", "dim")


def is_terminal() -> bool:
    """Whether standard output is for people."""
    return _Console().is_terminal


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]], *, always_headed: bool = False) -> None:
    """Print a table; where standard output is no terminal, its rows as lines with tabs for programs.

    The first column, of names to be copied, is never cut.

    Args:
        headers: of the columns.
        rows: their cells.
        always_headed: where it is no terminal, too: for what people read also in a log or a chat.
    """
    console = _Console()
    if not console.is_terminal:
        for row in [headers, *rows] if always_headed else rows:
            print("\t".join(printable(str(cell)) for cell in row))  # noqa: T201
        return
    table = Table()
    for number, header in enumerate(headers):
        table.add_column(header, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
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
    """A bar on standard error within the block, for a command that takes long; nothing where that is no terminal.

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
    be_interruptible()  # since the bar hides the cursor
    console = _Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(title), total=None)

        def show(completed: int, total: int | None, *, title: str | None = None) -> None:
            description = None if title is None else printable(title)
            progress.update(task, completed=completed, total=total, description=description)

        yield show
