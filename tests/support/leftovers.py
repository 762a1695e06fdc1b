"""What a command left behind, told apart from everything else on the machine by the TMPDIR that it was given."""

from __future__ import annotations

import os
from pathlib import Path


def processes(folder: Path) -> list[str]:
    """Id and command line of each process alive that has `folder` as its TMPDIR, or works in a folder below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _belongs(entry, folder):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found.append(f"{entry.name} {command}")
    return sorted(found)


def folders(folder: Path) -> list[str]:
    """Temporary folders of the bridge that are still there."""
    return sorted(path.name for path in folder.glob("im-bridge-*"))


def _belongs(process: Path, folder: Path) -> bool:
    try:
        # Valkey overwrites its environment with its title, and so is known by its working directory alone.
        works_in = str((process / "cwd").readlink()).startswith(f"{folder}/im-bridge-")
        return works_in or f"TMPDIR={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
