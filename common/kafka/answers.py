"""Reads the answers of a broker off its connection, each copied once.

aiokafka reads through a stream, whose buffer is made larger, and so copied, again and again while the megabytes of a
fetch arrive, and which wakes a task twice for each answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_SIZE_BYTES = 4
_LEAST_BYTES = 4
"""Of an answer: it begins with its correlation id."""


class AnswerReader(asyncio.Protocol):
    """Cuts what arrives into answers, which have their sizes in front.

    Args:
        on_answer: called with each answer, without its size.
        on_end: called when nothing more can be read, perhaps twice: with the reason.
        on_lost: called once, when the connection is gone.
    """

    def __init__(
        self,
        *,
        on_answer: Callable[[bytes], None],
        on_end: Callable[[Exception], None],
        on_lost: Callable[[Exception | None], None],
    ) -> None:
        self._on_answer = on_answer
        self._on_end = on_end
        self._on_lost = on_lost
        self._parts: list[bytes] = []
        """What there is of an answer that is not whole."""
        self._missing = 0
        """Bytes of that answer; 0: none has begun."""
        self._size = b""
        """What there is of a size that is not whole."""

    def data_received(self, data: bytes) -> None:
        """Some more of an answer, or the rest of it and what follows."""
        try:
            at = 0
            while at < len(data):
                at = self._read_part(data, at) if self._missing else self._read_size(data, at)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an answer, those behind it are not read
            self._on_end(error)

    def eof_received(self) -> None:
        """The broker says nothing more; the transport closes itself."""
        self._on_end(EOFError("the broker has closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._on_lost(error)

    def _read_size(self, data: bytes, at: int) -> int:
        """Read what there is of a size; where that ends."""
        end = at + _SIZE_BYTES - len(self._size)
        self._size += data[at:end]
        if len(self._size) == _SIZE_BYTES:
            self._missing = int.from_bytes(self._size, "big", signed=True)
            self._size = b""
            if self._missing < _LEAST_BYTES:
                raise ValueError(f"an answer of {self._missing} bytes is none")
        return end

    def _read_part(self, data: bytes, at: int) -> int:
        """Read what there is of an answer; where that ends."""
        part = data if not at and len(data) <= self._missing else data[at : at + self._missing]
        self._parts.append(part)
        self._missing -= len(part)
        if not self._missing:
            answer = b"".join(self._parts)  # Of one part it is that one itself.
            self._parts.clear()
            self._on_answer(answer)
        return at + len(part)
