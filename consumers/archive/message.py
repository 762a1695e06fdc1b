"""A message of the archive, as the platform wrote it into a line of a file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from consumers.archive.differing import GREATEST, LEAST, documented, unsigned
from consumers.archive.repair import repair
from consumers.archive.structure import is_deeper

ArchivedChat = Literal["c2c", "group"]

CHAT_TYPES: dict[ArchivedChat, str] = {"c2c": "C2C", "group": "Group"}
"""What the platform calls them."""

_MAX_TIME_S = 253_402_300_799  # The end of the year 9999: no time of an event is later.
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")

MAX_DEPTH = 128
"""Deepest nesting of a line. The ingress takes no callback that is deeper: common readers would not take its event."""

Seconds = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TIME_S)]
Whole = Annotated[int, msgspec.Meta(ge=LEAST, le=GREATEST)]
Account = Annotated[str, msgspec.Meta(min_length=1)]


class UnreadableLineError(Exception):
    """A line of a file is no message. The message says why, and holds nothing of the line."""


class ArchivedMessage(msgspec.Struct, kw_only=True, gc=False):
    """A message of the archive.

    Only what a message cannot be without is certain to be there; the platform does not document which lines have the
    rest. Lines of groups have no `MsgRandom` in the documented sample.
    """

    from_account: Account = msgspec.field(name="From_Account")
    timestamp: Seconds = msgspec.field(name="MsgTimestamp")
    """Unix seconds."""
    seq: Whole = msgspec.field(name="MsgSeq")
    to_account: str | None = msgspec.field(name="To_Account", default=None)
    """Whom a one-to-one message was sent to; such a line always has it."""
    group_id: str | None = msgspec.field(name="GroupId", default=None)
    """The group of a message of a group; such a line always has it."""
    random: Whole | None = msgspec.field(name="MsgRandom", default=None)
    body: msgspec.Raw = msgspec.field(name="MsgBody", default_factory=msgspec.Raw)
    """JSON as it was written, which is UTF-8 without halves of surrogate pairs; empty where the line has none."""
    msg_key: str | None = msgspec.field(name="MsgKey", default=None)
    platform: str | None = msgspec.field(name="MsgFromPlatform", default=None)
    client_ip: str | None = msgspec.field(name="ClientIP", default=None)
    cloud_custom_data: str | None = msgspec.field(name="CloudCustomData", default=None)

    chat: ArchivedChat = msgspec.field(name=" chat", default="c2c")
    app_id: str = msgspec.field(name=" app_id", default="")
    """SdkAppid, decimal digits."""
    raw: bytes = msgspec.field(name=" raw", default=b"")
    """The line's JSON object, with all of its fields, without the comma behind it. Numbers may be beyond a double."""
    repaired: bool = msgspec.field(name=" repaired", default=False)
    """Whether the line was no strict JSON; what was none of it became U+FFFD, as in a callback's event."""

    @property
    def c2c_msg_key(self) -> str | None:
        """`MsgSeq_MsgRandom_MsgTimestamp`, as the callback names a one-to-one message; the line's own where it has one.

        None: it is a message of a group, or has neither.
        """
        if self.chat != "c2c":
            return None
        if self.msg_key or self.random is None:
            return self.msg_key
        return f"{self.seq}_{self.random}_{self.timestamp}"

    def fields(self) -> dict[str, Any]:
        """All fields of the line under the platform's names, those that we do not know included."""
        try:
            fields: dict[str, Any] = msgspec.json.decode(self.raw)
        except msgspec.ValidationError:  # A number beyond what a double holds, where we did not look.
            fields = msgspec.json.decode(repair(self.raw)[0])
        return fields


_DECODER = msgspec.json.Decoder(ArchivedMessage, strict=False)
_FIELDS = msgspec.json.Decoder(dict[str, Any])
_DISPENSABLE = {
    **dict.fromkeys(("MsgKey", "MsgFromPlatform", "ClientIP", "CloudCustomData"), str),
    "MsgRandom": int,
}
"""Fields that a message is read without, where they have another type than in the lines that were seen → that type."""


def read_message(line: bytes, chat: ArchivedChat, app_id: str) -> ArchivedMessage:
    """The message of a line.

    Args:
        line: a JSON object.
        chat: of which file it is.
        app_id: whose file it is.

    Raises:
        UnreadableLineError: it is no message.
    """
    repaired = False
    if is_deeper(line, MAX_DEPTH):
        raise UnreadableLineError(f"it is nested more than {MAX_DEPTH} levels deep")
    try:
        try:
            if b"\\u" in line and _HALF_PAIR.search(line):
                line, repaired = repair(line)
            elif not _is_utf8(line):
                line, repaired = repair(line)[0], True
            message, line = _decode(line)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            line, repaired = repair(line)[0], True
            message, line = _decode(line)
    except msgspec.ValidationError as error:
        raise UnreadableLineError(f"it is no message: {error}") from None
    except (ValueError, RecursionError) as error:  # msgspec.DecodeError is a ValueError
        raise UnreadableLineError(f"it is no JSON: {error}"[:200]) from None
    if not (message.to_account if chat == "c2c" else message.group_id):
        raise UnreadableLineError(f"it is no message: it has no {'To_Account' if chat == 'c2c' else 'GroupId'}")
    message.chat, message.app_id, message.raw, message.repaired = chat, app_id, line, repaired
    message.seq = unsigned(message.seq)
    message.random = None if message.random is None else unsigned(message.random)
    return message


def _decode(line: bytes) -> tuple[ArchivedMessage, bytes]:
    """The message of a line, and the line in the form in which it could be read."""
    try:
        return _DECODER.decode(line), line
    except msgspec.ValidationError:
        written = _fields_of(line)
        fields = documented(written)
        whole_line = line if fields == written else msgspec.json.encode(fields)
        for name in _DISPENSABLE.keys() & fields.keys():
            if type(fields[name]) is not _DISPENSABLE[name] or _is_too_large(fields[name]):
                del fields[name]
        return _DECODER.decode(msgspec.json.encode(fields)), whole_line


def _fields_of(line: bytes) -> dict[str, Any]:
    """The fields of a line that is JSON; a number that not every reader takes is its text.

    Raises:
        msgspec.ValidationError: it is no object.
        ValueError: it is no JSON.
    """
    try:
        fields: dict[str, Any] = _FIELDS.decode(line)
    except msgspec.ValidationError:
        fields = _FIELDS.decode(repair(line)[0])
    return fields


def _is_too_large(value: object) -> bool:
    return isinstance(value, int) and not LEAST <= value <= GREATEST


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
