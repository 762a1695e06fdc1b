"""Is a file a journal? Its first bytes say so, before SQLite opens it, which would change the database of another."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

from bridge.journal.journal_name import JournalName
from bridge.journal.own_file import ForeignError, opened, own_status

APPLICATION_ID = 0x696D6272  # "imbr"
FORMAT_VERSION = 1
"""What this program writes, and the newest that it reads. A program that writes a higher one reads all lower ones."""
MAGIC = b"SQLite format 3\x00"
WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""What a write-ahead log begins with."""
HEAD_BYTES = 112
"""SQLite's header, and that of the first page of its table of contents."""
FORMAT_VERSION_AT = slice(60, 64)
APPLICATION_ID_AT = slice(68, 72)
TABLES_AT = slice(103, 105)
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
FIRST_PAGE = b"\x00\x00\x00\x01"
MAX_FRAMES = 10_000
"""More are not looked through: the first page is in the first transaction."""
SIDE_FILES = ("-wal", "-journal", "-shm")
"""What SQLite opens, by name, along with a database."""


class NewerFormatError(ForeignError):
    """The journal is of a newer version of this program, which alone can publish it. It is left as it is."""

    def __init__(self, path: Path, version: int) -> None:
        super().__init__(
            f"{path} has format {version}, of a newer version of im-bridge; this one reads formats up to"
            f" {FORMAT_VERSION}. Start the newer version again, or publish the file with its `bridge journal drain`"
        )


class _Identity(NamedTuple):
    """Whose database it is, and of which format."""

    application_id: int
    format_version: int


_UNKNOWN = _Identity(0, 0)


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a file."""
    return path.with_name(path.name + "-wal")


def check_is_journal(path: Path) -> None:
    """See to it that a file may be opened as a journal: a whole one, a damaged one, or one that was hardly begun.

    Raises:
        FileNotFoundError: there is nothing.
        NewerFormatError: it is one of a newer version of this program.
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
    found = _identity(head) if head.startswith(MAGIC) else _UNKNOWN
    if found.application_id == APPLICATION_ID:
        check_format_version(path, found.format_version)
        return
    if found.application_id:
        raise ForeignError(f"{path} is a database of another program (its application_id is {found.application_id:#x})")
    if not JournalName.of(path).is_of_our_form:
        raise ForeignError(f"{path} is no journal, neither by its name nor by what is in it")
    if head.startswith(MAGIC):
        in_log = _identity_in_log(path)
        is_another = in_log.application_id != APPLICATION_ID if in_log else any(head[TABLES_AT])
        if is_another:
            raise ForeignError(f"{path} is a database of another program")
        if in_log:
            check_format_version(path, in_log.format_version)


def check_format_version(path: Path, version: int) -> None:
    """See to it that a journal has no format that only a newer version of this program understands.

    Raises:
        NewerFormatError: it has.
    """
    if version > FORMAT_VERSION:
        raise NewerFormatError(path, version)


def _identity_in_log(path: Path) -> _Identity | None:
    """What the first page of a database says that lies in its write-ahead log; None where it is not there."""
    try:
        with opened(log_of(path)) as file:
            page_bytes = _page_bytes(file)
            for _ in range(MAX_FRAMES):
                frame = file.read(FRAME_HEADER_BYTES + page_bytes)
                if len(frame) < FRAME_HEADER_BYTES + page_bytes:
                    break
                if frame[:4] == FIRST_PAGE:
                    return _identity(frame[FRAME_HEADER_BYTES:])
    except FileNotFoundError:
        pass
    return None


def _page_bytes(file: BinaryIO) -> int:
    """The size of a page, as the header of a write-ahead log says; the usual one where there is no header."""
    header = file.read(WAL_HEADER_BYTES)
    size = int.from_bytes(header[8:12], "big") if header[:4] in WAL_MAGICS else 0
    return min(max(size, 512), 65_536)


def _identity(head: bytes) -> _Identity:
    return _Identity(
        int.from_bytes(head[APPLICATION_ID_AT], "big"), int.from_bytes(head[FORMAT_VERSION_AT], "big", signed=True)
    )
