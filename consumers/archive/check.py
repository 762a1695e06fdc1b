"""Whether a downloaded file is what was promised: its sizes and MD5s, packed and unpacked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from consumers.archive.history import ArchiveFile
from consumers.archive.unpack import CHUNK_BYTES, UnpackError, unpacked

STEP_BYTES = 8 * 1024 * 1024


def check_file(path: Path, file: ArchiveFile) -> Iterator[str | None]:
    """What is wrong with a file, empty where nothing is: the last one given. None: there is more to look at.

    A step takes some milliseconds, so that a caller can stop in between.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size != file.gzip_size:
        has = "more" if size > file.gzip_size else f"{size} bytes"  # No more than that is downloaded.
        yield f"it has {has}, and GzipSize is {file.gzip_size}"
        return
    packed_md5 = _Digest()
    with path.open("rb") as packed:
        while chunk := packed.read(CHUNK_BYTES):
            if packed_md5.update(chunk):
                yield None
    if packed_md5.hex != file.gzip_md5.lower():
        yield f"its MD5 is {packed_md5.hex}, and GzipMD5 is {file.gzip_md5}"
        return
    file_md5 = _Digest()
    try:
        for chunk in unpacked(path, max_bytes=file.file_size):
            if file_md5.update(chunk):
                yield None
    except UnpackError as error:
        yield str(error)
        return
    if file_md5.size != file.file_size:
        yield f"it unpacks to {file_md5.size} bytes, and FileSize is {file.file_size}"
    elif file_md5.hex != file.file_md5.lower():
        yield f"the MD5 of what it unpacks to is {file_md5.hex}, and FileMD5 is {file.file_md5}"
    else:
        yield ""


class _Digest:
    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def update(self, chunk: bytes) -> bool:
        """Add a chunk; whether another STEP_BYTES are full."""
        before = self.size // STEP_BYTES
        self._digest.update(chunk)
        self.size += len(chunk)
        return self.size // STEP_BYTES > before

    @property
    def hex(self) -> str:
        return self._digest.hexdigest()
