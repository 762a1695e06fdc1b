"""Memory that outlives the process: marks and counters of the numbers of one life, which its successor reads.

It is shared memory, not a file of the disk. A write to a mapped file ends the process where the disk fails, and holds
up the event loop where it hangs. So it is lost with the machine, and with a container that ends as a whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Mapping, Sequence
from functools import cache
from mmap import PAGESIZE, mmap
from pathlib import Path

import msgspec

from bridge.journal.exclusive_lock import lock_within
from bridge.journal.numbering import LARGEST_RING, LEAST_RING, TAIL_BYTES, Ring, TopicNumbers
from common.audit.header import Life

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only a file of ours is taken
NAME = "im-bridge"
"""What the names of files of marks begin with."""
DESCRIPTION_BYTES = PAGESIZE
"""Two names of topics have a fraction of it."""
ASK_S = 0.3


class Description(msgspec.Struct, frozen=True):
    """What a file of marks begins with."""

    process: str
    epoch: int
    size: int
    """How many numbers the ring of a topic spans."""
    topics: list[str]
    ledger: str = ""
    """Path of the ledger that they belong to; empty: of an older version, or a very long one."""
    mounts: str = ""
    """Where that path means something: see `mounts`."""
    pid: int = 0


class LifeMarks:
    """The marks of one life, and its counters.

    Args:
        description: of what is there.
        maps: for each topic the memory of its ring.
        path: the file that they are in; None: they are in this process only, and end with it.
    """

    def __init__(self, description: Description, maps: Sequence[mmap | bytearray], path: Path | None) -> None:
        self.path = path
        self.description = description
        self.life = Life(description.process, description.epoch)
        self._maps = maps
        self._rings = {topic: Ring(one, description.size) for topic, one in zip(description.topics, maps, strict=True)}

    @classmethod
    def in_memory(cls, life: Life, topics: Sequence[str], size: int) -> LifeMarks:
        """New ones, that end with the process."""
        description = Description(life.process, life.epoch, size, list(topics))
        return cls(description, [bytearray(size + TAIL_BYTES) for _ in topics], None)

    @classmethod
    def create(cls, path: Path, life: Life, topics: Sequence[str], size: int, ledger: Path | None = None) -> LifeMarks:
        """New ones in a file, in the place of what is there of the life before.

        Raises:
            OSError: the memory cannot be had.
        """
        description = Description(
            life.process, life.epoch, size, list(topics), str(ledger or ""), mounts(), os.getpid()
        )
        encoded = msgspec.json.encode(description)
        if len(encoded) > DESCRIPTION_BYTES:
            encoded = msgspec.json.encode(msgspec.structs.replace(description, ledger=""))
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # For as long as we have them mapped: so others see that somebody is alive. Nobody else holds it for longer
            # than it takes to find that out.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Reserved at once: to find later that there is none left would end the process.
            os.posix_fallocate(descriptor, 0, _length(description))
            os.pwrite(descriptor, encoded, 0)
            return cls(description, _mapped(descriptor, description), path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    @classmethod
    def open_left(cls, path: Path, life: Life) -> LifeMarks | None:
        """Those of a life that has ended; None where there are none of it, or it goes on."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
                return None
            description = read_description(descriptor)
            if description is None or (description.process, description.epoch) != life:
                return None
            size = description.size
            is_whole = LEAST_RING <= size <= LARGEST_RING and not size & (size - 1)
            if not is_whole or status.st_size < _length(description) or is_in_use(descriptor, ASK_S):
                return None
            return cls(description, _mapped(descriptor, description), path)
        except (OSError, ValueError):
            return None
        finally:
            os.close(descriptor)

    def numbering(self) -> dict[str, TopicNumbers]:
        """Gives numbers, from 1."""
        return {topic: TopicNumbers(self.life, ring) for topic, ring in self._rings.items()}

    @property
    def rings(self) -> Mapping[str, Ring]:
        """Of each topic."""
        return self._rings

    def move(self, path: Path) -> None:
        """Give the file another name, if there is one. Where that fails, an end is stated without them."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.rename(path)
                self.path = path

    def touch(self) -> None:
        """Show that they are in use, to whoever cannot see their ledger."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def close(self) -> None:
        """Let go of the memory, and so of the lock: who has it mapped is taken for the process whose marks they are.

        Not left to the collector: an error that somebody keeps has all that its frames knew.
        """
        for one in self._maps:
            if isinstance(one, mmap):
                one.close()

    def remove(self) -> None:
        """Nobody needs them any more."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()


def is_in_use(descriptor: int, within_s: float = 0.0) -> bool:
    """Whether a file is of marks whose process lives. If not, the lock is ours for as long as the descriptor is open.

    Args:
        descriptor: of the file.
        within_s: how long others may need who ask the same.
    """
    return not lock_within(descriptor, within_s)


def read_description(descriptor: int) -> Description | None:
    """What a file begins with, if it is one of marks."""
    try:
        return msgspec.json.decode(os.pread(descriptor, DESCRIPTION_BYTES, 0).rstrip(b"\0"), type=Description)
    except (OSError, msgspec.DecodeError):
        return None


def description_of(path: Path) -> Description | None:
    """What a file begins with, if it is one of marks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return read_description(descriptor)
    finally:
        os.close(descriptor)


def is_readable_here(description: Description) -> bool:
    """Whether the path of the ledger means here what it means to the process whose marks they are."""
    return bool(description.ledger and mounts() and description.mounts == mounts())


@cache
def mounts() -> str:
    """The mount namespace of this process: where it is the same, so are the files under a path. Empty: not known."""
    try:
        return str(Path("/proc/self/ns/mnt").readlink())
    except OSError:
        return ""


def _ring_bytes(description: Description) -> int:
    return -(-(description.size + TAIL_BYTES) // PAGESIZE) * PAGESIZE


def _length(description: Description) -> int:
    return DESCRIPTION_BYTES + len(description.topics) * _ring_bytes(description)


def _mapped(descriptor: int, description: Description) -> list[mmap]:
    length = _ring_bytes(description)
    return [
        mmap(descriptor, length, offset=DESCRIPTION_BYTES + number * length)
        for number in range(len(description.topics))
    ]
