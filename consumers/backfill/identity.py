"""What a message is known by: the keys under which its line in the archive, its event and its dead letter meet.

A key is a hash of 16 bytes. The first key of a message is the id of its event. That alone would not do: a callback may
have come without a part of its id that the archive has, and the archive may lack one that the callback has. So each
side also has keys of what both have:

| message | its event on the topic has | its line is looked up by |
| --- | --- | --- |
| one-to-one | id; MsgKey; the three numbers MsgKey is made of; without MsgRandom | id; MsgKey; the three numbers |
| one-to-one, the line has neither MsgKey nor MsgRandom | the same | the weak id; both users, MsgSeq, second |
| group, the line has Random | id; group, sender, MsgSeq, second, Random | id; the same; the weak id |
| group, the line has none | id; group, sender, MsgSeq, second | the weak id; the same |

A one-to-one message of which only a failed delivery is on the topic (`SendMsgResult` is not 0) is not there: what the
archive holds was sent, perhaps at the second attempt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from bridge.events import c2c, group
from bridge.events.envelope import event_id
from bridge.events.getters import identity_getter
from consumers.archive.message import ArchivedMessage

Key = bytes

_KEY_BYTES = 16
_MSG_KEY = re.compile(r"([0-9]{1,18})_[0-9]{1,18}_([0-9]{1,18})")
_C2C, _GROUP = c2c.MessageSent.callback, group.MessageSent.callback
_c2c_identity = identity_getter(c2c.MessageSent)
_group_identity = identity_getter(group.MessageSent)
_pack = msgspec.msgpack.Encoder().encode


class CallbackFields(NamedTuple):
    """Which of the fields that its pages do not all have the callback of an app's one-to-one messages comes with: they
    are part of the event's id, and the archive does not have them."""

    has_key: bool = True
    """MsgKey."""
    has_result: bool = True
    """SendMsgResult."""


DOCUMENTED = CallbackFields()
"""That of the newest page."""


class SentMessage(NamedTuple):
    """What of a message is compared, wherever it stands. What is not there is None."""

    app_id: str
    is_group: bool
    from_account: str | None
    to: str | None
    """Receiver or group."""
    seq: int | None
    random: int | None
    time_s: int | None
    msg_key: str | None = None
    topic_id: str | None = None
    """Of a community, empty where it is in none."""


def id_of(message: ArchivedMessage, random: int | None, topic_id: str | None, form: CallbackFields) -> tuple[str, bool]:
    """The id of the event of an archived message, and whether it is the one that the callback would have given it.

    Args:
        message: a line of the archive.
        random: of a message of a group, where the line has one.
        topic_id: the same.
        form: of the callback of one-to-one messages.
    """
    if message.chat == "c2c":
        sent = c2c.MessageSent(
            from_account=message.from_account,
            to_account=message.to_account,
            msg_seq=message.seq,
            msg_random=message.random,
            msg_time=message.timestamp,
            msg_key=message.c2c_msg_key if form.has_key else None,
            send_msg_result=0 if form.has_result else None,
        )
        identity = _c2c_identity(sent, None, False, None)
        command = _C2C.command
    else:
        of_group = group.MessageSent(
            group_id=message.group_id,
            from_account=message.from_account,
            msg_random=random,
            msg_seq=message.seq,
            msg_time=message.timestamp,
            topic_id=topic_id or None,
        )
        identity = _group_identity(of_group, None, False, None)
        command = _GROUP.command
    if identity is not None:
        return event_id((message.app_id, command, *identity)), True
    known = (message.from_account, message.to_account or message.group_id, topic_id or "", message.seq)
    return event_id((message.app_id, command, "archive", *known, message.timestamp)), False


def key_of_id(text: str) -> Key:
    """The key that an event's id is."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    return found if len(found) == _KEY_BYTES else _key("id", text)


def keys_it_has(sent: SentMessage) -> Iterator[Key]:
    """The keys of a message on the topic, beside its id: all that a line of the archive may know it by."""
    if not sent.is_group:
        yield from _c2c_keys(sent)
        if (lacking := _without_random(sent)) is not None:
            yield lacking
        return
    for topic_id in dict.fromkeys(("", sent.topic_id or "")):
        yield _group_key(sent, topic_id, None)
        if sent.random is not None:
            yield _group_key(sent, topic_id, sent.random)


def keys_to_look_up(sent: SentMessage) -> Iterator[Key]:
    """The keys by which a line of the archive is looked up, beside the id of its event."""
    if sent.is_group:
        yield _group_key(sent, sent.topic_id or "", sent.random)
    elif sent.msg_key or sent.random is not None:
        yield from _c2c_keys(sent)
    elif (lacking := _without_random(sent)) is not None:
        yield lacking


def _c2c_keys(sent: SentMessage) -> Iterator[Key]:
    people = (sent.app_id, sent.from_account, sent.to)
    if sent.msg_key:
        yield _key("c2c", *people, sent.msg_key)
    if sent.seq is not None and sent.random is not None and sent.time_s is not None:
        numbers = f"{sent.seq}_{sent.random}_{sent.time_s}"
        if numbers != sent.msg_key:
            yield _key("c2c", *people, numbers)


def _without_random(sent: SentMessage) -> Key | None:
    """The key by which a line without MsgRandom is looked up."""
    seq, time_s = sent.seq, sent.time_s
    if (seq is None or time_s is None) and sent.msg_key and (parts := _MSG_KEY.fullmatch(sent.msg_key)):
        seq, time_s = int(parts[1]), int(parts[2])
    if seq is None or time_s is None:
        return None
    return _key("c2c", sent.app_id, sent.from_account, sent.to, seq, time_s)


def _group_key(sent: SentMessage, topic_id: str, random: int | None) -> Key:
    return _key("group", sent.app_id, sent.from_account, sent.to, sent.seq, sent.time_s, topic_id, random)


def _key(*values: Any) -> Key:
    return hashlib.blake2b(_pack(values), digest_size=_KEY_BYTES).digest()
