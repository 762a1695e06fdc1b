r"""Reads the messages of a file of the archive, whatever somebody makes of its lines.

The documented file has a first line that ends with `"MsgList":[`, then a message a line with a comma, and `]}`. A line
that is a message by itself is read as it is, the usual case and a fast one. Any other is taken apart by its structure:
it may hold several messages, the head or the end of the list, or be the whole file. What is no message costs itself
and no other, for an end of line ends it in any case: JSON has none within its strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from common.text import printable
from consumers.archive.hour import Hour
from consumers.archive.message import CHAT_TYPES, ArchivedChat, ArchivedMessage, UnreadableLineError, read_message
from consumers.archive.structure import FileHead, Pieces, read_head, take_apart

MAX_MESSAGE_BYTES = 1024 * 1024
"""Of a message as JSON. The platform takes no message of more than some 12 KiB."""
MAX_HEAD_BYTES = 64 * 1024
BATCH_MESSAGES = 1000
BATCH_BYTES = 1024 * 1024
"""A batch is given when it has so many messages, or so many bytes of lines."""
MAX_SAMPLES = 5
MAX_OFF_S = 24 * 3600
"""A message of another day than its file's hour is none of that hour: its time is wrong, or it was imported later. An
event of a time that is far off would do more harm than good: a badge, for one, waits for a count that is newer."""

_SAMPLE_CHARS = 120
_AROUND = b" \t\r,\x00"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_A_MESSAGE = b'"From_Account"'
_TOO_LONG = f"it is longer than {MAX_MESSAGE_BYTES} bytes"


class ForeignFileError(Exception):
    """A file is none of the archive, or not the one that was asked for. The message says why."""


@dataclass
class HourReport:
    """What an hour had, as far as it has been read."""

    files: int = 0
    messages: int = 0
    outside: int = 0
    """Of these: messages whose time does not lie in the hour."""
    bad_lines: int = 0
    """Lines, or parts of such, that are no message."""
    samples: list[str] = field(default_factory=list)
    """Of them, the first few: number of the line, why it is bad, and how it begins."""
    reasons: list[str] = field(default_factory=list)
    """Of the same ones: number of the line and why it is bad. Logs may have it: it has nothing of the line itself."""


class FileReader:
    """Reads the files of an hour, one after the other.

    Args:
        hour, chat, app_id: what the files are of.
        report: is kept, as far as batches are given.
    """

    def __init__(self, hour: Hour, chat: ArchivedChat, app_id: str, report: HourReport) -> None:
        self._hour = hour
        self._chat = chat
        self._app_id = app_id
        self._report = report
        self._from_s = int(hour.start.timestamp())
        self._until_s = int(hour.end.timestamp())
        self._line = 1
        self._has_ended = False

    def batches(self, chunks: Iterable[bytes]) -> Iterator[list[ArchivedMessage]]:
        """The messages of a file.

        Args:
            chunks: its bytes.

        Raises:
            ForeignFileError: it is of another app, chat or hour, or no such file at all.
        """
        self._report.files += 1
        self._line, self._has_ended = 1, False
        batch: list[ArchivedMessage] = []
        batch_bytes = 0
        for message in self._messages(chunks):
            batch.append(message)
            batch_bytes += len(message.raw)
            if len(batch) >= BATCH_MESSAGES or batch_bytes >= BATCH_BYTES:
                yield self._counted(batch)
                batch, batch_bytes = [], 0
        if not self._has_ended:
            self._tell(b"", "the file ends within its list: messages may be missing")
        if batch:
            yield self._counted(batch)

    def _counted(self, batch: list[ArchivedMessage]) -> list[ArchivedMessage]:
        self._report.messages += len(batch)
        self._report.outside += sum(not self._from_s <= message.timestamp < self._until_s for message in batch)
        return batch

    def _messages(self, chunks: Iterable[bytes]) -> Iterator[ArchivedMessage]:
        """Every message; in memory are a chunk and a line, or of a longer line the part that is read."""
        chunks = iter(chunks)
        rest, is_skipping = self._behind_head(chunks), False
        for chunk in chain((b"",), chunks):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not is_skipping and (text := line.strip(_AROUND)):
                    try:
                        yield self._read(text)
                    except UnreadableLineError as error:
                        yield from self._taken_apart(text, error)
                is_skipping = False
                self._line += 1
            if is_skipping:
                rest = b""
            elif len(rest) > MAX_MESSAGE_BYTES:
                pieces = take_apart(rest, is_whole=False)
                rest = rest[pieces.taken :]
                yield from self._of_pieces(pieces)
                if is_skipping := len(rest) > MAX_MESSAGE_BYTES:
                    self._tell(rest, f"{_TOO_LONG}; the rest of its line is not read")
                    rest = b""
        if text := rest.strip(_AROUND):
            yield from self._taken_apart(text)

    def _behind_head(self, chunks: Iterator[bytes]) -> bytes:
        """What was read behind the head of the file; all of it where the head is no head, which is a bad line then."""
        data = b""
        for chunk in chunks:
            data += chunk
            if len(data) >= MAX_HEAD_BYTES:
                break
        if not data:
            self._has_ended = True  # An hour without messages, without even a head.
            return data
        data = data.removeprefix(_BYTE_ORDER_MARK)
        found = read_head(data[:MAX_HEAD_BYTES])
        if found is None:
            if _A_MESSAGE not in data:
                raise ForeignFileError(f"it is no file of messages: it begins with {_beginning(data)}")
            return data
        if isinstance(found.head, str):
            self._tell(data[: found.length], f"the head of the file cannot be read ({found.head})")
        else:
            self._check(found.head)
        self._line += data.count(b"\n", 0, found.length)
        return data[found.length :]

    def _check(self, head: FileHead) -> None:
        chat = CHAT_TYPES[self._chat]
        for name, value, expected in (
            ("SdkAppId", head.app_id, self._app_id),
            ("ChatType", head.chat_type, chat),
            ("MsgTime", head.msg_time, self._hour.name),
        ):
            if value is not None and str(value).lower() != expected.lower():
                raise ForeignFileError(f"its {name} is {printable(str(value)[:40])}, and not {expected}")

    def _taken_apart(self, text: bytes, error: UnreadableLineError | None = None) -> Iterator[ArchivedMessage]:
        pieces = take_apart(text, is_whole=True)
        if error is not None and pieces.found == [text]:
            self._tell(text, str(error))
        else:
            yield from self._of_pieces(pieces)

    def _of_pieces(self, pieces: Pieces) -> Iterator[ArchivedMessage]:
        self._has_ended |= pieces.list_ended
        for piece in pieces.found:
            try:
                yield self._read(piece)
            except UnreadableLineError as error:
                self._tell(piece, str(error))

    def _read(self, text: bytes) -> ArchivedMessage:
        if len(text) > MAX_MESSAGE_BYTES:
            raise UnreadableLineError(_TOO_LONG)
        message = read_message(text, self._chat, self._app_id)
        if not self._from_s - MAX_OFF_S <= message.timestamp < self._until_s + MAX_OFF_S:
            raise UnreadableLineError(
                f"its MsgTimestamp {message.timestamp} lies more than a day off the hour that the file is of"
            )
        return message

    def _tell(self, text: bytes, why: str) -> None:
        self._report.bad_lines += 1
        if len(self._report.samples) < MAX_SAMPLES:
            file = f"file {self._report.files}, " if self._report.files > 1 else ""
            reason = f"{file}line {self._line}: {why}"
            self._report.reasons.append(reason)
            self._report.samples.append(f"{reason}: {_beginning(text)}" if text else reason)


def _beginning(text: bytes) -> str:
    return printable(text[:_SAMPLE_CHARS].decode(errors="backslashreplace"))
