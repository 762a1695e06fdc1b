"""A clock that jumps: processes with this folder on their PYTHONPATH, and `TEST_CLOCK`, take their time from it.

It is the time of day alone, as where somebody sets the clock of a machine: what runs by the monotonic clock goes on.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tests.support.jumping.sitecustomize import CLOCK

HOUR_S, DAY_S = 3600.0, 86_400.0


class JumpingClock:
    """The clock of some processes.

    Args:
        path: of the file with which they are told of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(struct.pack("d", 0.0))
        self.env = {CLOCK: str(path), "PYTHONPATH": str(Path(__file__).parent)}

    def set_off(self, seconds: float) -> None:
        """Have it differ from that of the machine by so much from now on."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("d", seconds))
