"""Is an open file still the one that its name names? If not, nobody finds after our end what was synced to it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from bridge.journal.own_file import FileId


class VanishedError(OSError):
    """An open file that nobody will take over as it is: it is not in its folder, or not whole. The message says why."""


class Presence:
    """Knows of a file that only grows whether it is in its place.

    It looks at the name alone: a second descriptor, when it is closed, would free the lock of the file. The system does
    not give the number of a file that is open to another.

    Args:
        path: of a file that is open.
        beginnings: with one of these it begins where it is not empty; none: that is not looked at. Who truncates a file
            that is written on leaves a hole at its beginning, and a length that tells nothing. Only of files without a
            lock.
    """

    def __init__(self, path: Path, beginnings: Sequence[bytes] = ()) -> None:
        self.path = path
        self._name = os.fspath(path)  # With every group that is written: a Path costs as much again as to look.
        self._beginnings = beginnings
        status = path.lstat()
        self._file = FileId.of(status)
        self._size = status.st_size

    @property
    def is_there(self) -> bool:
        """Whether the name stands for the file."""
        try:
            return FileId.of(self.path.lstat()) == self._file
        except OSError:
            return False

    def check(self) -> None:
        """Look.

        Raises:
            VanishedError: it is not there, or not as it was left.
            OSError: the disk or the system does not let us look.
        """
        try:
            status = os.lstat(self._name)
        except (FileNotFoundError, NotADirectoryError):
            raise VanishedError(f"{self.path} was removed or moved while it was written") from None
        if (status.st_dev, status.st_ino) != self._file:
            kind = "another file" if stat.S_ISREG(status.st_mode) else "something else"
            raise VanishedError(f"{self.path} was replaced by {kind} while it was written")
        if status.st_nlink > 1:
            # Who opens a journal by two names has two logs of it, so whoever comes after us leaves it alone.
            raise VanishedError(f"{self.path} was given a second name while it was written")
        if status.st_size < self._size or not self._begins_well(status.st_size):
            raise VanishedError(f"{self.path} was truncated while it was written")
        self._size = status.st_size

    def _begins_well(self, size: int) -> bool:
        if not (size and self._beginnings):
            return True
        descriptor = os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, len(self._beginnings[0]), 0) in self._beginnings
        finally:
            os.close(descriptor)
