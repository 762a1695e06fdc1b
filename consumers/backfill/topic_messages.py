"""What records of the topics say of sent messages: events, and dead letters of callbacks that became none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from bridge.events import c2c, group
from common.kafka.dead_letters import DeadLetter
from consumers.archive.differing import name_of, whole
from consumers.backfill.identity import CallbackFields, Key, SentMessage, key_of_id, keys_it_has

_C2C, _GROUP = c2c.MessageSent.callback, group.MessageSent.callback
_IN_EVENT = b".message.sent"
"""In each event that matters, however its JSON is written; of others in few."""
_COMMANDS = {_C2C.command.lower(): False, _GROUP.command.lower(): True}
_FIELD = re.compile(
    rb'"(From_Account|To_Account|GroupId|TopicId|MsgKey|MsgSeq|MsgRandom|Random|MsgTime|SendMsgResult)"\s*:\s*'
    rb'("(?:[^"\\]|\\.)*"|-?[0-9]+)'
)
"""In what is no JSON as a whole, such as a body that was cut off. Text inside text has other quotes."""


class _SentData(msgspec.Struct, gc=False):
    from_account: str | None = None
    to_account: str | None = None
    group_id: str | None = None
    topic_id: str | None = None
    msg_key: str | None = None
    msg_seq: int | None = None
    msg_random: int | None = None
    msg_time: int | None = None
    send_msg_result: int | float | None = None


class _SentEvent(msgspec.Struct, gc=False):
    id: str
    source: str
    type: str
    data: _SentData
    backfilled: bool | None = None


_decode = msgspec.json.Decoder(_SentEvent, strict=False).decode


class FoundMessage(NamedTuple):
    """A message that the topic or a dead letter has."""

    sent: SentMessage
    id_key: Key | None
    """Of its event; None of a dead letter, which has none."""
    form: CallbackFields | None
    """Of the callback of a one-to-one message; None of what was backfilled."""

    @property
    def keys(self) -> list[Key]:
        """All by which it is known."""
        own = [] if self.id_key is None else [self.id_key]
        return [*own, *keys_it_has(self.sent)]


def message_in_event(value: bytes | None) -> FoundMessage | None:
    """The message that an event is about; None where it is about none, or about one whose delivery failed.

    Args:
        value: of a record on the topic of events.
    """
    if value is None or _IN_EVENT not in value:
        return None
    event = _read(value)
    if event is None:
        return None
    is_group = event.type == _GROUP.type
    data = event.data
    if not is_group and (event.type != _C2C.type or data.send_msg_result):
        return None
    sent = SentMessage(
        event.source.rpartition("/")[2],
        is_group,
        data.from_account,
        data.group_id if is_group else data.to_account,
        data.msg_seq,
        data.msg_random,
        data.msg_time,
        data.msg_key,
        data.topic_id,
    )
    form = None
    if not is_group and not event.backfilled:
        form = CallbackFields(bool(data.msg_key), data.send_msg_result is not None)
    return FoundMessage(sent, key_of_id(event.id), form)


def _read(value: bytes) -> _SentEvent | None:
    """An event; what of its data has another type than in the events of the ingress is absent."""
    try:
        return _decode(value)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    try:
        event = msgspec.json.decode(value)
        data = event["data"] if isinstance(event["data"], dict) else {}
        fields = {name: _in_type(data.get(name), kind) for name, kind in _SentData.__annotations__.items()}
        return msgspec.convert({**event, "data": fields, "backfilled": event.get("backfilled") is True}, _SentEvent)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return None


def _in_type(value: Any, kind: str) -> Any:
    return name_of(value) if kind.startswith("str") else whole(value)


def message_in_letter(record: ConsumerRecord) -> FoundMessage | None:
    """The message that a dead letter is about: its callback as it came, or its event, which a worker gave up."""
    if (found := message_in_event(record.value)) is not None:
        return found
    letter = DeadLetter(record)
    is_group = _COMMANDS.get(letter.command.lower())
    if is_group is None:
        return None
    fields = _fields(record.value or b"", letter.content)
    if not is_group and whole(fields.get("sendmsgresult")):
        return None
    sent = SentMessage(
        (record.key or b"").decode(errors="replace"),
        is_group,
        name_of(fields.get("from_account")),
        name_of(fields.get("groupid" if is_group else "to_account")),
        whole(fields.get("msgseq")),
        whole(fields.get("random" if is_group else "msgrandom")),
        whole(fields.get("msgtime")),
        name_of(fields.get("msgkey")),
        name_of(fields.get("topicid")),
    )
    return FoundMessage(sent, None, None)


def _fields(body: bytes, content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a body by their names in lower case, as far as anybody can read them."""
    if content:
        return {name.lower(): value for name, value in content.items()}
    found: dict[str, Any] = {}
    for name, value in _FIELD.findall(body):
        try:
            read = json.loads(value.decode(errors="replace"), strict=False)
        except ValueError:
            continue
        found.setdefault(name.decode().lower(), read)
    return found
