"""Reads a journal without opening it as a database: nothing is copied, locked or changed, whoever has it open.

SQLite cannot do that: to look into a database with a write-ahead log it wants its lock, which a living owner holds and
an owner that starts must find free, and it writes a `-shm` file; with `immutable=1` it leaves out the log, in which the
newest rows are and, of one that was killed, often all. To ask a living owner in its place would take its event loop, be
no answer of one that hangs, and leave dead ones, on a full or read-only disk too, unread. So the file is read here by
its format, https://www.sqlite.org/fileformat2.html, as far as a journal has it: the rows of one table, by their pages,
of which the newest are in the log. Of a large row what stands in front of its records is read alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from bridge.journal.header import (
    APPLICATION_ID,
    FORMAT_VERSION,
    FRAME_HEADER_BYTES,
    MAGIC,
    WAL_HEADER_BYTES,
    WAL_MAGICS,
    check_format_version,
    log_of,
)
from bridge.journal.own_file import opened
from bridge.journal.store import DamagedError

DATABASE_HEADER_BYTES = 100
LEAF, INTERIOR = 0x0D, 0x05
"""Kinds of pages of a table."""
INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Serial type → length."""
FLOAT, ZERO, ONE, FIRST_BLOB = 7, 8, 9, 12
MAX_DEPTH = 20
"""Of pages in a table: no table that there can be has more."""
MASK = 0xFFFFFFFF
MAX_ROW_BYTES = 2**30
"""SQLite takes none that is larger."""
COLUMNS_BEFORE_PACKED = 5

Value = int | float | bytes | None


class StoredGroup(NamedTuple):
    """A row of a journal, without its records."""

    seq: int
    topic: str
    records: int
    size: int
    stored: float
    """When, Unix seconds."""
    payload: _Payload

    def packed(self) -> bytes:
        """Its records, as `record.unpack` takes them.

        Raises:
            DamagedError, OSError: they cannot be read.
        """
        value = self.payload.columns(COLUMNS_BEFORE_PACKED + 1)[COLUMNS_BEFORE_PACKED]
        if not isinstance(value, bytes):
            raise DamagedError(f"row {self.seq} holds no records")
        return value


class JournalReader:
    """The rows of a journal as it is when the block begins; used as `with`.

    Where its owner lives and writes meanwhile, some may be missing, or it seems to be damaged: read it again.

    Args:
        path: the file, which no process may read so that has it open as a journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._database: BinaryIO
        self._log: BinaryIO | None = None
        self._frames: dict[int, int] = {}
        """Page → where its newest content is in the log."""
        self._page_bytes = 0
        self.usable_bytes = 0
        """Of a page."""

    def __enter__(self) -> Self:
        """Open it.

        Raises:
            FileNotFoundError, ForeignError, OSError: see `own_file.own_status`.
            NewerFormatError: it is one of a newer version of this program.
            DamagedError: it is no journal that can be read.
        """
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def groups(self) -> Iterator[StoredGroup]:
        """Its rows by ascending sequence numbers.

        Raises:
            DamagedError, OSError: it cannot be read on.
        """
        root = self._root_of_groups()
        if root is None:
            return
        for seq, payload in self._rows(root, set()):
            _, topic, records, size, stored = payload.columns(COLUMNS_BEFORE_PACKED)
            match topic, records, size, stored:
                case bytes(), int(), int(), int() | float():
                    name = topic.decode(errors="replace")
                    yield StoredGroup(seq, name, records, size, stored, payload)
                case _:
                    raise self._damaged(f"row {seq} is none of a journal")

    # -- Pages ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._database = self._open.enter_context(opened(self._path))
        head = self._database.read(DATABASE_HEADER_BYTES)
        try:
            self._log = self._open.enter_context(opened(log_of(self._path)))
        except FileNotFoundError:
            pass
        else:
            self._read_log(self._log)
        if 1 in self._frames:
            head = self.page(1)[:DATABASE_HEADER_BYTES]
        if not head:
            return  # Its owner ended while it made the file.
        if len(head) < DATABASE_HEADER_BYTES or not head.startswith(MAGIC):
            raise self._damaged("it is no database")
        size = int.from_bytes(head[16:18], "big")
        self._page_bytes = 65_536 if size == 1 else size
        if self._page_bytes < 512 or self._page_bytes & (self._page_bytes - 1):
            raise self._damaged("its pages have no size that there is")
        self.usable_bytes = self._page_bytes - head[20]
        found_id, version = int.from_bytes(head[68:72], "big"), int.from_bytes(head[60:64], "big")
        if found_id == APPLICATION_ID:
            check_format_version(self._path, version)
        if (found_id, version) not in {(APPLICATION_ID, FORMAT_VERSION), (0, 0)}:
            raise self._damaged(f"version {version} of the format is not known to this program")

    def _read_log(self, log: BinaryIO) -> None:
        """Find the newest content of each page that was committed."""
        header = log.read(WAL_HEADER_BYTES)
        if len(header) < WAL_HEADER_BYTES or header[:4] not in WAL_MAGICS:
            return
        words = ">" if header[:4] == WAL_MAGICS[1] else "<"
        page_bytes = int.from_bytes(header[8:12], "big")
        salts = header[16:24]
        sums = _checksum(words, header[:24], (0, 0))
        if not (512 <= page_bytes <= 65_536) or struct.pack(">II", *sums) != header[24:32]:
            return
        self._page_bytes = page_bytes
        pending: dict[int, int] = {}
        at = WAL_HEADER_BYTES
        while len(frame := log.read(FRAME_HEADER_BYTES + page_bytes)) == FRAME_HEADER_BYTES + page_bytes:
            number, committed = struct.unpack(">II", frame[:8])
            if frame[8:16] != salts:
                break  # It was written before the log began anew.
            sums = _checksum(words, frame[FRAME_HEADER_BYTES:], _checksum(words, frame[:8], sums))
            if struct.pack(">II", *sums) != frame[16:24]:
                break
            pending[number] = at + FRAME_HEADER_BYTES
            at += len(frame)
            if committed:
                self._frames |= pending
                pending = {}

    def page(self, number: int) -> bytes:
        """The newest content of a page.

        Raises:
            DamagedError, OSError: there is none.
        """
        if number < 1:
            raise self._damaged(f"there is no page {number}")
        at = self._frames.get(number)
        file = self._database if at is None or self._log is None else self._log
        content = os.pread(file.fileno(), self._page_bytes, (number - 1) * self._page_bytes if at is None else at)
        if len(content) < self._page_bytes:
            raise self._damaged(f"page {number} is missing")
        return content

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(f"{self._path}: {why}")

    # -- Tables --------------------------------------------------------------------------------------------------------

    def _root_of_groups(self) -> int | None:
        if not self.usable_bytes:
            return None
        for _, payload in self._rows(1, set()):
            kind, name, _, root = payload.columns(4)
            if (kind, name) == (b"table", b"groups") and isinstance(root, int):
                return root
        return None

    def _rows(self, number: int, seen: set[int], depth: int = 0) -> Iterator[tuple[int, _Payload]]:
        """Row id and content of each row in the table whose root, or part, is a page; `seen`: the pages before it."""
        if number in seen or depth > MAX_DEPTH:
            raise self._damaged(f"page {number} is in a table where it cannot be")
        seen.add(number)
        page = self.page(number)
        start = DATABASE_HEADER_BYTES if number == 1 else 0
        kind = page[start]
        if kind not in {LEAF, INTERIOR}:
            raise self._damaged(f"page {number} is none of a table")
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        pointers = start + (8 if kind == LEAF else 12)
        try:
            cells = struct.unpack_from(f">{count}H", page, pointers)
            for cell in cells:
                if kind == INTERIOR:
                    yield from self._rows(int.from_bytes(page[cell : cell + 4], "big"), seen, depth + 1)
                else:
                    size, at = _varint(page, cell)
                    row_id, at = _varint(page, at)
                    yield row_id, _Payload(self, page, at, size)
        except (struct.error, IndexError) as error:
            raise self._damaged(f"page {number} cannot be read") from error
        if kind == INTERIOR:
            yield from self._rows(int.from_bytes(page[start + 8 : start + 12], "big"), seen, depth + 1)


class _Payload:
    """The content of a row, of which as much is read as is wanted."""

    def __init__(self, reader: JournalReader, page: bytes, at: int, size: int) -> None:
        self._reader = reader
        self._page = page
        self._at = at
        self._size = size

    def columns(self, count: int) -> list[Value]:
        """Its first columns. Texts are bytes.

        Raises:
            DamagedError, OSError: they cannot be read.
        """
        local = self._local_bytes()
        content = self._page[self._at : self._at + local]
        try:
            return _columns(content, count)
        except (IndexError, struct.error):
            if local == self._size:
                raise DamagedError("a row cannot be read") from None
        try:
            return _columns(self._whole(content, self._at + local), count)
        except (IndexError, struct.error):
            raise DamagedError("a row cannot be read") from None

    def _local_bytes(self) -> int:
        """How much of it is on its page."""
        usable = self._reader.usable_bytes
        if self._size <= usable - 35:
            return self._size
        least = (usable - 12) * 32 // 255 - 23
        local = least + (self._size - least) % (usable - 4)
        return local if local <= usable - 35 else least

    def _whole(self, local: bytes, pointer_at: int) -> bytes:
        parts, left = [local], self._size - len(local)
        if self._size > MAX_ROW_BYTES:
            raise DamagedError("a row is larger than any can be")
        number = int.from_bytes(self._page[pointer_at : pointer_at + 4], "big")
        while left > 0:
            page = self._reader.page(number)
            parts.append(page[4 : min(4 + left, self._reader.usable_bytes)])
            left -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _columns(content: bytes, count: int) -> list[Value]:
    """The first columns of a record.

    Raises:
        IndexError, struct.error: it does not have them, or ends before.
    """
    header_bytes, at = _varint(content, 0)
    kinds: list[int] = []
    while at < header_bytes and len(kinds) < count:
        kind, at = _varint(content, at)
        kinds.append(kind)
    if len(kinds) < count:
        raise IndexError
    values: list[Value] = []
    at = header_bytes
    for kind in kinds:
        length = INTEGER_BYTES.get(kind, 8 if kind == FLOAT else max(0, (kind - FIRST_BLOB) // 2))
        part = content[at : at + length]
        if len(part) < length:
            raise IndexError
        at += length
        values.append(_value(kind, part))
    return values


def _value(kind: int, part: bytes) -> Value:
    if kind in INTEGER_BYTES:
        return int.from_bytes(part, "big", signed=True)
    if kind == FLOAT:
        return float(struct.unpack(">d", part)[0])
    if kind in {ZERO, ONE}:
        return kind - ZERO
    return part if kind >= FIRST_BLOB else None


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends.

    Raises:
        IndexError: it does not end.
    """
    value = 0
    for number in range(8):
        byte = content[at + number]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + number + 1
    return value << 8 | content[at + 8], at + 9


def _checksum(words: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's checksum of a write-ahead log, carried on."""
    one, two = sums
    for first, second in struct.iter_unpack(f"{words}II", content):
        one = (one + first + two) & MASK
        two = (two + second + one) & MASK
    return one, two
