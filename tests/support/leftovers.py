"""What a command left behind, told apart from everything else on the machine by the TMPDIR that it was given."""

from __future__ import annotations

import os
from pathlib import Path


def processes(folder: Path) -> list[str]:
    """Command lines of the processes alive that were started, by whomever, with `folder` as TMPDIR."""
    mark = f"TMPDIR={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{entry.name} {command}")
        except OSError:
            continue
    return sorted(found)


def folders(folder: Path) -> list[str]:
    """Temporary folders of the bridge that are still there."""
    return sorted(path.name for path in folder.glob("im-bridge-*"))
