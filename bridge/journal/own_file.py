"""Only files of our own are opened in a journal's folder, and never through a link: anything may lie there.

A symbolic link, a device or a pipe is known by its entry in the folder, before anything is opened: to open a pipe would
wait for ever, and to close a second way to a file of ours would free its lock. SQLite opens by name, after that look;
whoever could exchange the file in between may write in the folder, and could as well change our files themselves.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple


class ForeignError(Exception):
    """What lies there is not ours. It is left as it is. The message says what it is."""


class FileId(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileId:
        """The file whose status it is."""
        return cls(status.st_dev, status.st_ino)


def own_status(path: Path) -> os.stat_result:
    """The status of a regular file of ours that has this name and no other.

    Raises:
        FileNotFoundError: there is nothing.
        ForeignError: there is something else.
        OSError: the disk or the system does not let us look.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ForeignError(f"{path} is {_kind(status.st_mode)}, not a file of ours")
    if status.st_nlink > 1:
        raise ForeignError(f"{path} is one of {status.st_nlink} names of a file: remove the others if it is ours")
    owners = {os.geteuid(), path.parent.stat().st_uid}
    if status.st_uid not in owners:
        raise ForeignError(f"{path} belongs to user {status.st_uid}, not to us: use chown if it is ours")
    return status


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file of ours, to be read.

    No process may do this with a file that it has open as a journal: its lock would be freed.

    Raises:
        FileNotFoundError, ForeignError, OSError: see `own_status`.
    """
    expected = FileId.of(own_status(path))
    # Without O_NONBLOCK a pipe that was put there just now would hold us up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if FileId.of(os.fstat(descriptor)) != expected:
            raise ForeignError(f"{path} was exchanged while it was opened")
        yield file


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for is_one, name in kinds.items() if is_one(mode)), "something unknown")
