"""What of a process is in memory, by what it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

KIBIBYTE = 1024


class Resident(msgspec.Struct, frozen=True):
    """Resident memory of a process, in bytes."""

    heap: int = 0
    """Of the C library's main arena."""
    anonymous: int = 0
    """Other memory of its own: Python's arenas of small objects, those of the C library for threads, large blocks."""
    files: int = 0
    """Programs and libraries; other processes may share it."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.heap + self.anonymous + self.files


def resident(pid: int) -> Resident:
    """Of a process that runs. Raises OSError where it has ended."""
    return parsed(Path(f"/proc/{pid}/smaps").read_text().splitlines())


def parsed(smaps: Iterable[str]) -> Resident:
    """Of the lines of `/proc/PID/smaps`: https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html."""
    found = {"heap": 0, "anonymous": 0, "files": 0}
    kind = ""
    for line in smaps:
        first, *rest = line.split()
        if first == "Rss:":
            found[kind] += int(rest[0]) * KIBIBYTE
        elif not first.endswith(":"):  # Addresses, permissions, offset, device, inode, perhaps a name.
            name = rest[4] if len(rest) > 4 else ""
            kind = "heap" if name == "[heap]" else "files" if name.startswith("/") else "anonymous"
    return Resident(**found)
