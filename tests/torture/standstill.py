"""Whether the machine had time for a run: what is late because nobody ran is no fault of what is hurt."""

from __future__ import annotations

import threading
import time
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")
LOOK_EVERY_S = 0.05
STANDSTILL_S = 0.25
"""A thread that only sleeps, and comes so much too late, was not let run."""


class StandstillWatch(threading.Thread):
    """Notes when this process was not let run, and for how long others of the machine waited for a processor.

    A context manager.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.spans: list[tuple[float, float]] = []
        """From when to when (monotonic clock) nothing moved here."""
        self.pressed: float | None = None
        """Share of the time in which some process waited for a processor; None where the system does not tell."""
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until the end."""
        before = time.monotonic()
        while not self._ended.wait(LOOK_EVERY_S):
            now = time.monotonic()
            if now - before > LOOK_EVERY_S + STANDSTILL_S:
                self.spans.append((before, now))
            before = now

    def within(self, begin: float, end: float) -> float:
        """Seconds of a span of time in which nothing moved here."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in self.spans)

    def __enter__(self) -> StandstillWatch:
        self._began, self._waited_us = time.monotonic(), _waited_us()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        waited_us = _waited_us()
        if self._waited_us is not None and waited_us is not None:
            self.pressed = (waited_us - self._waited_us) / 1e6 / (time.monotonic() - self._began)


def _waited_us() -> int | None:
    """Microseconds since the machine started in which some process waited for a processor."""
    try:
        some = PRESSURE.read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    return int(some.rpartition("=")[2])
