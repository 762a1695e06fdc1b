"""Standard input, output and error of a program: whole from its start, harmless to a terminal, quiet when nobody reads.

`protect` is the one place: whatever is printed, logged or shown by a library goes through what it puts there.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import select
import sys
from typing import IO, NoReturn, TextIO, cast

from common.text import json_escape, safe_output

ESCAPE = "im-bridge.escape"
"""How characters are written that the encoding of a stream lacks, which is no reason to fail. JSON stays JSON."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json_escape(error.object[error.start : error.end]), error.end


codecs.register_error(ESCAPE, _escape)


class StandardStream(io.TextIOWrapper):
    """Standard output or standard error: what is written through it cannot make a terminal do anything.

    When standard output cannot be written, the program ends: with status 0 and in silence when nobody reads it any
    more, as in `bridge tail | head -1`, else with status 1 and the reason. It does so by SystemExit, which nothing that
    handles errors of files and connections takes for one of those. Standard error that cannot be written is let go.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=ESCAPE,
            line_buffering=bool(stream.line_buffering),
            write_through=getattr(stream, "write_through", False),
        )
        self._fd = stream.fileno()
        self._replaced = stream  # when it is collected it closes what both write to
        self.styled = cast("IO[str]", _Styled(self))
        """The same, for a library whose own escapes, of colours, are to have an effect."""

    def write(self, text: str) -> int:
        """Write text, with what a terminal would obey as escapes."""
        return self.write_styled(safe_output(text))

    def write_styled(self, text: str) -> int:
        """Write text as it is."""
        try:
            return super().write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            super().flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        discard(self._fd)
        if self._fd == 1:
            end_unread(error)


class _Styled:
    """A stream whose writer has escaped the text itself, and added escapes of its own."""

    def __init__(self, stream: StandardStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write_styled(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def protect() -> None:
    """Make the standard streams of this process such streams; those that are closed are replaced first.

    Otherwise the next file or socket would get the number of a closed one, and what is printed would go there.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            _replace(fd)
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name) or open(fd, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        if not isinstance(stream, StandardStream):
            setattr(sys, name, StandardStream(stream))


def end_unread(error: OSError | None = None) -> NoReturn:
    """End the program because standard output cannot be written, or is read by nobody.

    Raises:
        SystemExit: always.
    """
    discard(1)
    logging.getLogger("asyncio").disabled = True  # it would report that tasks have ended thus
    if error is None or isinstance(error, BrokenPipeError):
        raise SystemExit(0)
    print(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)  # noqa: T201
    raise SystemExit(1)


def discard(fd: int) -> None:
    """Let what is written to a descriptor, or still buffered for it, go nowhere."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, fd)
    os.close(devnull)


def is_output_read() -> bool:
    """Whether somebody may still read standard output."""
    poll = select.poll()
    poll.register(1, 0)
    return not any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def styled(stream: TextIO) -> IO[str]:
    """A standard stream for a library that writes escapes of its own, such as colours."""
    return stream.styled if isinstance(stream, StandardStream) else stream


def _replace(fd: int) -> None:
    """Put something in the place of a standard stream that was closed when the program began."""
    if fd == 1:
        # As if its reader had gone: so a program that only prints ends at once.
        unread, opened = os.pipe()
        os.close(unread)
    else:
        opened = os.open(os.devnull, os.O_RDWR)
    if opened != fd:
        os.dup2(opened, fd)
        os.close(opened)
    os.set_inheritable(fd, True)
