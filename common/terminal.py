"""What the commands for people print: styled on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text


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


def printable(text: str) -> str:
    """The text without what a terminal would obey: it may come from users of the app."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
