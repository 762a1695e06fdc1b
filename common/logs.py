"""Logging of every process: one line a record, to standard error, as text or as JSON.

What a record says may come from outside: names that somebody thought up, the answer of a server. So whoever logs need
not think of it, each formatter here lets no character out that a terminal would obey, nor one that begins a line which
pretends to be a record, no password of an address, and cuts what is longer than anybody reads.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator

import orjson

from common.text import printable, safe_output, without_passwords

MAX_LINE_CHARS = 10_000


class TextFormatter(logging.Formatter):
    """A line a record, and below it, indented, the traceback where there is one.

    Args:
        process: which one of several it is.
    """

    def __init__(self, process: str = "") -> None:
        mark = f"[{process}] " if process else ""
        super().__init__(f"%(asctime)s {mark}%(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, without the end of its last line."""
        record.message = printable(_shortened(record.getMessage()))
        record.asctime = self.formatTime(record, self.datefmt)
        return "\n    ".join([self.formatMessage(record), *map(printable, _traceback_lines(self, record))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without the end of the line."""
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _shortened(record.getMessage()),
        }
        if lines := list(_traceback_lines(self, record)):
            fields["traceback"] = "\n".join(lines)
        return safe_output(orjson.dumps({name: _valid(text) for name, text in fields.items()}).decode())


def _traceback_lines(formatter: logging.Formatter, record: logging.LogRecord) -> Iterator[str]:
    if record.exc_info:
        yield from map(_shortened, formatter.formatException(record.exc_info).split("\n"))
    if record.stack_info:
        yield from map(_shortened, formatter.formatStack(record.stack_info).split("\n"))


def _shortened(text: str) -> str:
    text = without_passwords(text)
    cut = len(text) - MAX_LINE_CHARS
    return text if cut <= 0 else f"{text[:MAX_LINE_CHARS]}… and {cut} characters more"


def _valid(text: str) -> str:
    # Half of a surrogate pair is no Unicode, and JSON has no form for it that all programs read.
    return text.encode(errors="backslashreplace").decode()


def configure(*, log_format: str, level: str, process: str = "") -> None:
    """Send all logging to standard error, marked with `process` where there are several."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


MAX_KINDS = 1000


class Throttle:
    """Lets some messages through, so that a flood of bad requests, or a server that stays away, floods no log.

    Args:
        interval_s: of each kind of message one in so many seconds is let through.
    """

    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._last: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def admits(self, kind: str) -> bool:
        """Whether a message of this kind may be logged now."""
        now = time.monotonic()
        if len(self._last) > MAX_KINDS:
            self._last.clear()
            self._suppressed.clear()
        if now - self._last.get(kind, -self._interval_s) < self._interval_s:
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            return False
        self._last[kind] = now
        return True

    def suppressed(self, kind: str) -> int:
        """How many were not logged since the last one that was; counts anew from here."""
        return self._suppressed.pop(kind, 0)
