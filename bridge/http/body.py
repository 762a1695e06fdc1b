"""Reads the bodies of requests that did not arrive in one piece, or in chunks."""

from __future__ import annotations

import re
from enum import Enum, auto

from bridge.ingress import refusals
from bridge.ingress.refusals import RefusedError

CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;.*)?")
"""The line before a chunk: its size, and extensions that mean nothing to us."""
MAX_CHUNK_OVERHEAD_BYTES = 32 * 1024
"""What the lines around chunks may take, beyond as much as is in the chunks: each line costs as much work as a
kilobyte of content."""


class SizedBody:
    """A body whose size the head told.

    Args:
        size: bytes of it.
        max_bytes: most that is accepted.

    Raises:
        RefusedError: it is too large.
    """

    def __init__(self, size: int, *, max_bytes: int) -> None:
        if size > max_bytes:
            raise RefusedError(refusals.too_large(max_bytes))
        self._size = size
        self.content = bytearray()
        """What has arrived of it."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived."""
        return len(self.content) == self._size

    def read(self, data: bytes, at: int) -> int:
        """Read on in what arrived, from the offset `at`. Returns the offset behind what belongs to the body."""
        end = min(len(data), at + self._size - len(self.content))
        self.content += data[at:end]
        return end


class _Line(Enum):
    """What the next line between chunks is."""

    SIZE = auto()
    END_OF_CHUNK = auto()
    TRAILER = auto()


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1). What stands behind the last one is ignored.

    Args:
        max_bytes: most that is accepted.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._missing = 0
        """Bytes that are to come of the chunk under way."""
        self._expected = _Line.SIZE
        self._line = bytearray()
        """What has arrived of the line under way."""
        self._overhead = 0
        """Bytes of all lines."""
        self.content = bytearray()
        """What has arrived of the body."""
        self.is_whole = False
        """Whether all of it has arrived."""

    def read(self, data: bytes, at: int) -> int:
        """Read on in what arrived, from the offset `at`. Returns the offset behind what belongs to the body.

        Raises:
            RefusedError: these are no chunks, or too small ones, or the body is too large.
        """
        while at < len(data) and not self.is_whole:
            if self._missing:
                end = min(len(data), at + self._missing)
                self.content += data[at:end]
                self._missing -= end - at
            else:
                newline = data.find(b"\n", at)
                end = len(data) if newline < 0 else newline + 1
                self._overhead += end - at
                if self._overhead > len(self.content) + MAX_CHUNK_OVERHEAD_BYTES:
                    raise RefusedError(refusals.SMALL_CHUNKS)
                self._line += data[at:end]
                if newline >= 0:
                    self._take_line()
            at = end
        return at

    def _take_line(self) -> None:
        if not self._line.endswith(b"\r\n"):
            raise RefusedError(refusals.BROKEN_BODY)
        line = self._line[:-2]
        self._line.clear()
        if b"\r" in line or b"\0" in line:  # A proxy before us may have taken it for something else.
            raise RefusedError(refusals.BROKEN_BODY)
        if self._expected is _Line.SIZE:
            self._begin_chunk(line)
        elif self._expected is _Line.TRAILER:
            self.is_whole = not line
        elif line:
            raise RefusedError(refusals.BROKEN_BODY)
        else:
            self._expected = _Line.SIZE

    def _begin_chunk(self, line: bytearray) -> None:
        found = CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise RefusedError(refusals.BROKEN_BODY)
        self._missing = int(found[1], 16)
        if len(self.content) + self._missing > self._max_bytes:
            raise RefusedError(refusals.too_large(self._max_bytes))
        self._expected = _Line.END_OF_CHUNK if self._missing else _Line.TRAILER
