"""The folder of an hour's files: one process at a time, and what a former one left is gone on with.

`{folder}/{app}/{hour}-{chat}/` holds for each file `{GzipMD5}.part` while it is downloaded and `{GzipMD5}.gz` once it
has been checked. A file that changes over there has another MD5, so another name: nothing is mixed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from common.text import byte_size
from consumers.archive.errors import ArchiveError
from consumers.archive.hour import Hour
from consumers.archive.message import ArchivedChat

_LOCK = "lock"
_SUFFIXES = {".part", ".gz"}


class HourFolder:
    """Where the files of an hour are. Made by `hour_folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def part(self, name: str) -> Path:
        """A file that is downloaded."""
        return self.path / f"{name}.part"

    def whole(self, name: str) -> Path:
        """A file that was checked."""
        return self.path / f"{name}.gz"

    def names(self) -> set[str]:
        """The files that are there, or were begun."""
        return {file.stem for file in self.path.iterdir() if file.suffix in _SUFFIXES}

    def size(self) -> int:
        """Bytes of all that has been downloaded."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.suffix in _SUFFIXES)

    def drop(self, names: Collection[str]) -> None:
        """Remove these files."""
        for name in names:
            self.part(name).unlink(missing_ok=True)
            self.whole(name).unlink(missing_ok=True)

    def check_room(self, more_bytes: int) -> None:
        """See that so much more can be written.

        Raises:
            ArchiveError: it cannot.
        """
        free = shutil.disk_usage(self.path).free
        if free < more_bytes:
            raise ArchiveError(
                "disk",
                f"the work folder {self.path} has {byte_size(free)} free, and the file needs {byte_size(more_bytes)}: "
                "free space, or set CONSUMERS_ARCHIVE_DIR to a larger disk",
            )


def disk_error(path: Path, error: OSError) -> ArchiveError:
    """What is said when the work folder cannot be used."""
    why = error.strerror or type(error).__name__
    return ArchiveError(
        "disk", f"{path} cannot be used ({why}): the work folder is CONSUMERS_ARCHIVE_DIR, which needs room and rights"
    )


@contextlib.contextmanager
def hour_folder(folder: Path, app_id: str, hour: Hour, chat: ArchivedChat) -> Iterator[HourFolder]:
    """The folder of an hour, ours alone until the block ends; then it is removed, but kept after an error in the block.

    Raises:
        ArchiveError: it cannot be made, or another process has it.
    """
    path = folder / app_id / f"{hour.name}-{chat}"
    try:
        lock = _lock(path)
    except OSError as error:
        raise disk_error(path, error) from None
    try:
        found = HourFolder(path)
        yield found
        with contextlib.suppress(OSError):  # The hour was had; what is left is found, and checked, another time.
            found.drop(found.names())
    finally:
        _remove_where_empty(path)
        os.close(lock)


def _lock(path: Path) -> int:
    """A lock on the folder, which is made where it is missing. Whoever had it may remove it meanwhile."""
    while True:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)  # What users wrote is nobody else's on this machine.
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ArchiveError(
                "failing", f"another process has the files of this hour in {path}: wait until it has ended"
            ) from None
        if _is_same(lock, path / _LOCK):
            return lock
        os.close(lock)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_where_empty(path: Path) -> None:
    """Remove the folder where nothing but our lock is left in it, and that of the app where it was the last."""
    with contextlib.suppress(OSError):
        if [file.name for file in path.iterdir()] == [_LOCK]:
            (path / _LOCK).unlink()
            path.rmdir()
            path.parent.rmdir()
