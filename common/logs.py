"""Logging of every process: one line a record, to standard error, as text or as JSON.

What a record says may come from outside: names that somebody thought up, the answer of a server. So whoever logs need
not think of it, each formatter here lets no character out that a terminal would obey, nor one that begins a line which
pretends to be a record, no password of an address, and cuts what is longer than anybody reads.

What programs may want to know of a record is told beside its words, in `fields`: the names are the same in all
programs.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime

import orjson

from common.text import printable, safe_output, without_passwords

MAX_LINE_CHARS = 10_000
NO_EVENT, FAULT = "message", "fault"
"""The `event` of a record that says all in its words, and of one with a traceback."""


def fields(event: str, **values: object) -> dict[str, dict[str, object]]:
    """What is told beside the words of a record, for its `extra`: log.warning("…", extra=fields("kafka_outage", …)).

    Args:
        event: what has happened, in a name that stays what it is when the words change.
        values: the facts, by names that have one meaning each: `app`, `address`, `reason`, …. None is left out.
    """
    return {"fields": {"event": event} | {name: value for name, value in values.items() if value is not None}}


class TextFormatter(logging.Formatter):
    """A line a record, with date, time and zone, and below it, indented, the traceback where there is one.

    Args:
        process: which one of several it is.
    """

    def __init__(self, process: str = "") -> None:
        mark = f"[{process}] " if process else ""
        super().__init__(f"%(asctime)s {mark}%(levelname)-7s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, _datefmt: str | None = None) -> str:  # noqa: N802 - of the library
        """Date, time and zone."""
        return _local_time(record)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, without the end of its last line."""
        record.message = printable(_shortened(record.getMessage()))
        record.asctime = self.formatTime(record)
        return "\n    ".join([self.formatMessage(record), *map(printable, _traceback_lines(self, record))])


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, message, pid, the `fields` of the record, and its traceback.

    Args:
        process: which one of several it is.
    """

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._process = {"process": process} if process else {}

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without the end of the line."""
        told: dict[str, object] = {
            "time": _local_time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": FAULT if record.exc_info else NO_EVENT,
            "message": _valid(_shortened(record.getMessage())),
            "pid": os.getpid(),
            **self._process,
            **{name: _valid_field(value) for name, value in getattr(record, "fields", {}).items()},
        }
        if lines := list(_traceback_lines(self, record)):
            told["traceback"] = _valid("\n".join(lines))
        return safe_output(orjson.dumps(told, default=str).decode())


def _local_time(record: logging.LogRecord) -> str:
    """As RFC 3339, to the millisecond: `2026-11-26T03:14:15.926+08:00`."""
    return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")


def _valid_field(value: object) -> object:
    """A fact as JSON takes it, as harmless as the words are."""
    if isinstance(value, str):
        return _valid(_shortened(value))
    return [_valid_field(one) for one in value] if isinstance(value, list) else value


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


_process = ""


def process_number() -> str:
    """Which one of several processes this is, as its lines in the log are marked; empty where it is the only one."""
    return _process


def configure(*, log_format: str, level: str, process: str = "") -> None:
    """Send all logging to standard error, marked with `process` where there are several."""
    global _process  # noqa: PLW0603 - as logging itself, one for a process
    _process = process
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if log_format == "json" else TextFormatter(process))
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
