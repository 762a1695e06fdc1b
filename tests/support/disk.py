"""Small disks of their own, where the machine lets us mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def can_mount() -> bool:
    """Whether they can be made here: root of a container, for one, may not."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), size_bytes=1024 * 1024)
        except subprocess.CalledProcessError:
            return False
        unmount(Path(folder))
    return True


def mount(folder: Path, *, size_bytes: int) -> None:
    """Make `folder` a file system of that size."""
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder]
    subprocess.run(command, check=True, capture_output=True)


def fill(folder: Path) -> Path:
    """Leave no byte of the file system free; the file that takes it all, to be removed."""
    filler = folder / "filler"
    for block in (65_536, 512):
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(block))
    return filler


def unmount(folder: Path) -> None:
    """End it, though files on it may be open."""
    subprocess.run(["umount", "-l", folder], check=True)
