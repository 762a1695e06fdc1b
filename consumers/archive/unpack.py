"""Unpacks a file of the archive as a stream: the file itself may be far larger than memory, or than it says."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 256 * 1024
"""So much is read, and at most so much is given, at a time."""
_GZIP = 31
_MEMBER = b"\x1f\x8b"
"""What every member of a gzip file begins with."""


class UnpackError(Exception):
    """A file is no whole gzip file, or unpacks to more than was said. The message says which."""


def unpacked(path: Path, *, max_bytes: int) -> Iterator[bytes]:
    """What a gzip file of one or more members holds, in chunks of at most CHUNK_BYTES; an empty file holds nothing.

    What stands behind the last member is passed over, as gzip does: whether all is there, the sizes and MD5s tell.

    Args:
        path: the file.
        max_bytes: how much it unpacks to at most; what is beyond is not unpacked.

    Raises:
        UnpackError: it is none, or larger.
        OSError: it cannot be read.
    """
    left = max_bytes
    with path.open("rb") as file:
        member, packed = zlib.decompressobj(_GZIP), file.read(CHUNK_BYTES)
        while packed:
            try:
                chunk = member.decompress(packed, CHUNK_BYTES)
            except zlib.error as error:
                raise UnpackError(f"it is no gzip file, or damaged ({error})") from None
            if (left := left - len(chunk)) < 0:
                raise UnpackError(f"it unpacks to more than the {max_bytes} bytes that were said")
            if chunk:
                yield chunk
            if not member.eof:
                packed = member.unconsumed_tail or file.read(CHUNK_BYTES)
                if not packed:
                    raise UnpackError("it ends in its middle")
            elif packed := (member.unused_data or file.read(CHUNK_BYTES)):
                if not packed.startswith(_MEMBER[: len(packed)]):
                    return
                member = zlib.decompressobj(_GZIP)
