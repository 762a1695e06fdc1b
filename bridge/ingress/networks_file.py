"""The file in which the networks that the platform named outlast a restart, shared by the processes of a folder.

It lies in the folder of the journals, and has none of their names. Of the processes that go by the same lists one asks
the platform: who holds the lock of a file beside it, which the kernel frees however a process ends. The others read
what it writes. Services with other apps, or in another region, may be on the same folder: each has an asker of its own,
who writes its lists and leaves those of the others.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from bridge.ingress.ip_list import acceptable
from bridge.ingress.known_networks import KnownNetworks, ListId, NetworkList
from bridge.journal.own_file import ForeignError, opened
from common.renewed import FileVersions, versions_of

NAME = "platform-networks.json"
FORMAT = 1
MAX_BYTES = 8 * 1024 * 1024


class UnusableFileError(Exception):
    """What the file holds cannot be used. The message says why."""


class _Content(msgspec.Struct):
    format: int
    lists: dict[str, NetworkList]


class _Format(msgspec.Struct):
    format: int


class NetworksFile:
    """The file, and its locks. All of it waits for the disk.

    Args:
        folder: of the journals.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock: int | None = None
        self._lock_path: Path | None = None
        """Of the lock that this process holds."""
        self._read: FileVersions = ()

    def try_lock(self, lists: Collection[ListId]) -> bool:
        """Whether this process is the one that asks for these lists, from now on. It asks for no others any more.

        Raises:
            OSError: the folder or the disk does not let us.
        """
        path = self._lock_of(lists)
        if path == self._lock_path:
            return True
        self.unlock()
        descriptor = self._opened_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._lock, self._lock_path = descriptor, path
        return True

    def unlock(self) -> None:
        """Let another process ask."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = self._lock_path = None

    def _lock_of(self, lists: Collection[ListId]) -> Path:
        names = "\n".join(sorted(map(str, lists)))
        return self.path.with_suffix(f".{hashlib.sha256(names.encode()).hexdigest()[:8]}.lock")

    def _opened_lock(self, path: Path) -> int:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def read_if_changed(self) -> dict[str, NetworkList] | None:
        """What it holds, list by list; None where it is not there, or is as it was at the last look.

        Raises:
            UnusableFileError: it cannot be used. This is said once, until it changes or the disk is well.
        """
        version = versions_of([self.path])
        if version == self._read:
            return None
        self._read = version
        try:
            with opened(self.path) as file:
                packed = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except ForeignError as error:
            raise UnusableFileError(str(error)) from error
        except OSError as error:
            self._read = ()  # The disk may let us another time.
            raise UnusableFileError(f"{self.path} cannot be read ({error.strerror})") from error
        return _unpacked(packed, self.path)

    def update(self, lists: dict[str, NetworkList], ours: Collection[ListId]) -> None:
        """Write our lists, and leave those in it that others have written since, as long as they are of use.

        Args:
            lists: all that we know.
            ours: those that we ask for.

        Raises:
            OSError: the disk does not take it; the former one stays.
        """
        with self._writing():
            own = {text: one for text, one in lists.items() if ListId.of(text) in ours}
            known = KnownNetworks({**lists, **self._content()} | own)
            known.forget_others(ours)
            self._replace(known.lists)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """While this process alone writes. The lock is held for no longer than that takes."""
        descriptor = self._opened_lock(self.path.with_suffix(".lock"))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _content(self) -> dict[str, NetworkList]:
        """What it holds now, as far as that can be used."""
        try:
            with opened(self.path) as file:
                return _unpacked(file.read(MAX_BYTES + 1), self.path)
        except (OSError, ForeignError, UnusableFileError):
            return {}

    def _replace(self, lists: dict[str, NetworkList]) -> None:
        """Replace it at once and as a whole. Raises OSError."""
        packed = msgspec.json.format(msgspec.json.encode(_Content(FORMAT, lists)), indent=1)
        if len(packed) > MAX_BYTES:
            raise OSError(errno.EFBIG, f"the lists of all apps together have more than {MAX_BYTES} bytes")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()  # Of a process that ended while it wrote.
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(descriptor)
        new.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._read = versions_of([self.path])


def _unpacked(packed: bytes, path: Path) -> dict[str, NetworkList]:
    if len(packed) > MAX_BYTES:
        raise UnusableFileError(f"{path} has more than {MAX_BYTES} bytes")
    try:
        version = msgspec.json.decode(packed, type=_Format).format
        if version > FORMAT:
            raise UnusableFileError(f"{path} was written by a newer version (its format is {version})")
        lists = msgspec.json.decode(packed, type=_Content).lists
        for one in lists.values():
            for text in one.networks:
                acceptable(text)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise UnusableFileError(f"{path} is damaged ({error})") from error
    return lists
