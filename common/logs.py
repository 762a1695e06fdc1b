"""Logging of every process: one line a record, to standard error, as text or as JSON."""

from __future__ import annotations

import logging
import sys
import time

import orjson


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without the end of the line."""
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(fields).decode()


def configure(*, log_format: str, level: str, process: str = "") -> None:
    """Send all logging to standard error, marked with `process` where there are several."""
    mark = f"[{process}] " if process else ""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if log_format == "json"
        else logging.Formatter(f"%(asctime)s {mark}%(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    )
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
