"""Is a file a journal? Its first bytes say so, before SQLite opens it, which would change the database of another."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from bridge.journal.journal_name import JournalName
from bridge.journal.own_file import ForeignError, opened, own_status

APPLICATION_ID = 0x696D6272  # "imbr"
MAGIC = b"SQLite format 3\x00"
WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""What a write-ahead log begins with."""
HEAD_BYTES = 112
"""SQLite's header, and that of the first page of its table of contents."""
APPLICATION_ID_AT = slice(68, 72)
TABLES_AT = slice(103, 105)
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
FIRST_PAGE = b"\x00\x00\x00\x01"
MAX_FRAMES = 10_000
"""More are not looked through: the first page is in the first transaction."""
SIDE_FILES = ("-wal", "-journal", "-shm")
"""What SQLite opens, by name, along with a database."""


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a file."""
    return path.with_name(path.name + "-wal")


def check_is_journal(path: Path) -> None:
    """See to it that a file may be opened as a journal: a whole one, a damaged one, or one that was hardly begun.

    Raises:
        FileNotFoundError: there is nothing.
        ForeignError: it is something else.
        OSError: the disk or the system does not let us look.
    """
    for suffix in SIDE_FILES:
        try:
            own_status(path.with_name(path.name + suffix))
        except FileNotFoundError:
            continue
    with opened(path) as file:
        head = file.read(HEAD_BYTES)
    found = _application_id(head) if head.startswith(MAGIC) else 0
    if found == APPLICATION_ID:
        return
    if found:
        raise ForeignError(f"{path} is a database of another program (its application_id is {found:#x})")
    if not JournalName.of(path).is_of_our_form:
        raise ForeignError(f"{path} is no journal, neither by its name nor by what is in it")
    if head.startswith(MAGIC):
        in_log = _application_id_in_log(path)
        if in_log not in {None, APPLICATION_ID} or (in_log is None and any(head[TABLES_AT])):
            raise ForeignError(f"{path} is a database of another program")


def _application_id_in_log(path: Path) -> int | None:
    """What the first page of a database says that lies in its write-ahead log; None where it is not there."""
    try:
        with opened(log_of(path)) as file:
            page_bytes = _page_bytes(file)
            for _ in range(MAX_FRAMES):
                frame = file.read(FRAME_HEADER_BYTES + page_bytes)
                if len(frame) < FRAME_HEADER_BYTES + page_bytes:
                    break
                if frame[:4] == FIRST_PAGE:
                    return _application_id(frame[FRAME_HEADER_BYTES:])
    except FileNotFoundError:
        pass
    return None


def _page_bytes(file: BinaryIO) -> int:
    """The size of a page, as the header of a write-ahead log says; the usual one where there is no header."""
    header = file.read(WAL_HEADER_BYTES)
    size = int.from_bytes(header[8:12], "big") if header[:4] in WAL_MAGICS else 0
    return min(max(size, 512), 65_536)


def _application_id(head: bytes) -> int:
    return int.from_bytes(head[APPLICATION_ID_AT], "big")
