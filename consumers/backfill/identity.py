"""What a message is known by: the keys under which its line in the archive, its event and its dead letter meet.

A key is a hash of 16 bytes. The first key of a message is the id of its event. That alone would not do: a callback may
have come without a part of its id that the archive has, and the archive may lack one that the callback has. So each
side also has keys of what both have:

| message | its event on the topic has | its line is looked up by |
| --- | --- | --- |
| one-to-one | id; the three numbers of MsgKey; two of them, without MsgRandom | id; the three numbers |
| one-to-one, the line has neither MsgKey nor MsgRandom | the same | the weak id; both users, MsgSeq, second |
| group, the line has Random | id; group, sender, MsgSeq, second, with Random and without | id; that; the weak id |
| group, the line has none | the same | the weak id; group, sender, MsgSeq, second |
| either, the callback came without a random number | besides a key that says so | that key, where the line has one |

The three numbers are those of MsgKey or those of the fields, whichever is there, without zeros in front and as unsigned
ones of 32 bits; a MsgKey of another form is taken as it is.

A one-to-one message of which only a failed delivery is on the topic (`SendMsgResult` is not 0) is not there: what the
archive holds was sent, perhaps at the second attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from bridge.events import c2c, group
from bridge.events.envelope import event_id
from bridge.events.getters import identity_getter
from consumers.archive.differing import parts_of_key, unsigned
from consumers.archive.message import ArchivedMessage

Key = bytes

_KEY_BYTES = 16
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
    if sent.is_group:
        for topic_id in dict.fromkeys(("", sent.topic_id or "")):
            yield _group_key("group", sent, topic_id, None)
            if sent.random is not None:
                yield _group_key("group", sent, topic_id, sent.random)
            else:
                yield _group_key("group without random", sent, topic_id, None)
        return
    numbers = _numbers_of(sent)
    yield from _c2c_keys(sent, numbers)
    if numbers.seq is not None and numbers.time_s is not None:
        yield _c2c_key("c2c", sent, numbers.seq, numbers.time_s)
        if numbers.random is None:
            yield _c2c_key("c2c without random", sent, numbers.seq, numbers.time_s)


def keys_to_look_up(sent: SentMessage) -> Iterator[Key]:
    """The keys by which a line of the archive is looked up, beside the id of its event."""
    if sent.is_group:
        for topic_id in dict.fromkeys((sent.topic_id or "", "" if sent.random is not None else sent.topic_id or "")):
            yield _group_key("group", sent, topic_id, sent.random)
        if sent.random is not None:
            yield _group_key("group without random", sent, sent.topic_id or "", None)
        return
    numbers = _numbers_of(sent)
    yield from _c2c_keys(sent, numbers)
    if numbers.seq is not None and numbers.time_s is not None:
        kind = "c2c" if numbers.random is None and not sent.msg_key else "c2c without random"
        yield _c2c_key(kind, sent, numbers.seq, numbers.time_s)


class _Numbers(NamedTuple):
    """What a MsgKey is made of."""

    seq: int | None
    random: int | None
    time_s: int | None


def _numbers_of(sent: SentMessage) -> _Numbers:
    """Of a one-to-one message; those of its MsgKey, where that tells them, however it is written."""
    if sent.msg_key and (parts := parts_of_key(sent.msg_key)) is not None:
        return _Numbers(*parts)
    seq, random = (None if one is None else unsigned(one) for one in (sent.seq, sent.random))
    return _Numbers(seq, random, sent.time_s)


def _c2c_keys(sent: SentMessage, numbers: _Numbers) -> Iterator[Key]:
    if None not in numbers:
        yield _c2c_key("c2c", sent, *numbers)
    if sent.msg_key and parts_of_key(sent.msg_key) is None:
        yield _c2c_key("c2c", sent, sent.msg_key)
    elif sent.msg_key and (of_fields := _numbers_of(sent._replace(msg_key=None))) != numbers and None not in of_fields:
        yield _c2c_key("c2c", sent, *of_fields)


def _c2c_key(kind: str, sent: SentMessage, *values: Any) -> Key:
    return _key(kind, sent.app_id, sent.from_account, sent.to, *values)


def _group_key(kind: str, sent: SentMessage, topic_id: str, random: int | None) -> Key:
    seq, random = (None if one is None else unsigned(one) for one in (sent.seq, random))
    return _key(kind, sent.app_id, sent.from_account, sent.to, seq, sent.time_s, topic_id, random)


def _key(*values: Any) -> Key:
    return hashlib.blake2b(_pack(values), digest_size=_KEY_BYTES).digest()
