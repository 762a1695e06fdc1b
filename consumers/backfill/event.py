"""Makes the event of an archived message: what its callback would have become, as far as the archive tells it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bridge.events import Data, Event, c2c, group
from bridge.events.envelope import EVENT_CONTENT_TYPE, attribute, is_subject, platform
from common.timestamps import rfc3339
from consumers.archive.differing import GREATEST, LEAST, name_of, unsigned, whole
from consumers.archive.message import ArchivedMessage
from consumers.backfill.identity import CallbackFields, SentMessage, id_of
from consumers.worker import OutgoingRecord

_C2C, _GROUP = c2c.MessageSent.callback, group.MessageSent.callback
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_OF_BOTH = ("From_Account", "MsgTimestamp", "MsgSeq", "MsgBody", "MsgFromPlatform", "ClientIP", "CloudCustomData")
_UNDERSTOOD = {
    "c2c": frozenset((*_OF_BOTH, "To_Account", "MsgRandom", "MsgKey")),
    "group": frozenset((*_OF_BOTH, "GroupId", "TopicId", "MsgRandom", "Random")),
}
"""Fields of a line that have a place of their own in the event, where they are understood."""
_OF_CALLBACK = {"msgkey": "msg_key", "msgtime": "msg_time", "random": "msg_random"}
"""The callback's names of what lines may have under another one, in lower case → ours."""
_encode = msgspec.json.Encoder().encode


class EventMaker:
    """Makes events of archived messages.

    Args:
        schema_base: what `dataschema` begins with, as in the events of the ingress.
        drop_fields: the platform's names of fields that must not reach the topic, at any depth.
    """

    def __init__(self, *, schema_base: str, drop_fields: Iterable[str] = ()) -> None:
        self._schema_base = schema_base
        self._dropped = frozenset(name.strip().lower() for name in drop_fields if name.strip())

    def record(self, message: ArchivedMessage, form: CallbackFields, *, now_ms: int) -> OutgoingRecord:
        """The record of the event of a message.

        Args:
            message: a line of the archive.
            form: of the callback of the app's one-to-one messages, of which the id depends.
            now_ms: when it is made, Unix milliseconds.
        """
        callback = _C2C if message.chat == "c2c" else _GROUP
        fields = self._kept(message)
        sent = sent_message(message, fields)
        identifier, is_exact = id_of(message, sent.random, sent.topic_id, form)
        data = self._without_dropped(_data(message, sent, fields))
        wanted = callback.subject[0]
        subject = getattr(data, wanted) or message.app_id
        if not is_subject(subject):
            subject = message.app_id
        time_text: Any = rfc3339(message.timestamp * 1000)
        now_text: Any = rfc3339(now_ms)
        event = Event(
            specversion="1.0",
            id=identifier,
            source=f"/tencent-im/{message.app_id}",
            type=callback.type,
            subject=subject,
            time=time_text,
            datacontenttype="application/json",
            dataschema=f"{self._schema_base}{callback.type}.json",
            callbackcommand=callback.command,
            receivedtime=now_text,
            platform=platform(message.platform) if message.platform and "MsgFromPlatform" in fields else None,
            clientip=attribute(message.client_ip) if message.client_ip and "ClientIP" in fields else None,
            repaired=True if message.repaired else None,
            backfilled=True,
            weakidentity=None if is_exact else True,
            data=data,
        )
        return OutgoingRecord(subject.encode(), _encode(event), [EVENT_CONTENT_TYPE])

    def form(self, form: CallbackFields) -> CallbackFields:
        """The form of callbacks of which the ingress drops the same fields before it makes their ids."""
        dropped = self._dropped
        return CallbackFields(
            form.has_key and "msgkey" not in dropped, form.has_result and "sendmsgresult" not in dropped
        )

    def _without_dropped(self, data: Data) -> Data:
        """The archive has fields under other names than the callback, which are those that the settings name."""
        absent = {
            ours: None for theirs, ours in _OF_CALLBACK.items() if theirs in self._dropped and hasattr(data, ours)
        }
        return msgspec.structs.replace(data, **absent) if absent else data

    def _kept(self, message: ArchivedMessage) -> dict[str, Any]:
        fields = _plain(message.raw)
        kept: dict[str, Any] = _without(fields, self._dropped) if self._dropped else fields
        return kept


def sent_message(message: ArchivedMessage, fields: Mapping[str, Any] | None = None) -> SentMessage:
    """What of an archived message is compared with others.

    Args:
        message: a line of the archive.
        fields: of the line, where they were read already.
    """
    if message.chat == "c2c":
        return SentMessage(
            message.app_id,
            False,
            message.from_account,
            message.to_account,
            message.seq,
            message.random,
            message.timestamp,
            message.msg_key,
        )
    random, topic_id = message.random, None
    if b'"Random"' in message.raw or b'"TopicId"' in message.raw:
        fields = message.fields() if fields is None else fields
        if random is None and (number := whole(fields.get("Random"))) is not None:
            random = unsigned(number)
        topic_id = name_of(fields.get("TopicId"))
    return SentMessage(
        message.app_id,
        True,
        message.from_account,
        message.group_id,
        message.seq,
        random,
        message.timestamp,
        topic_id=topic_id,
    )


def _data(message: ArchivedMessage, sent: SentMessage, fields: dict[str, Any]) -> Data:
    """What the callback would have told; of what the settings drop, nothing."""
    body = fields.get("MsgBody")
    known: dict[str, Any] = {
        "from_account": message.from_account if "From_Account" in fields else None,
        "msg_seq": message.seq if "MsgSeq" in fields else None,
        "msg_time": message.timestamp if "MsgTimestamp" in fields else None,
        "msg_body": body if isinstance(body, list) else None,
        "cloud_custom_data": message.cloud_custom_data if "CloudCustomData" in fields else None,
    }
    known["unknown"] = _not_understood(message, sent, fields) or None
    if message.chat == "c2c":
        return c2c.MessageSent(
            to_account=message.to_account if "To_Account" in fields else None,
            msg_random=sent.random if "MsgRandom" in fields else None,
            msg_key=message.c2c_msg_key,
            **known,
        )
    return group.MessageSent(
        group_id=message.group_id if "GroupId" in fields else None,
        msg_random=sent.random,
        topic_id=sent.topic_id or None,
        **known,
    )


def _not_understood(message: ArchivedMessage, sent: SentMessage, fields: dict[str, Any]) -> dict[str, Any]:
    """What the line has beside that, and what of that has a surprising type: it is passed on, as of a callback."""
    lost = {
        "MsgBody": not isinstance(fields.get("MsgBody"), list),
        "CloudCustomData": message.cloud_custom_data is None,
        "MsgFromPlatform": message.platform is None,
        "ClientIP": message.client_ip is None,
        "MsgKey": message.msg_key is None,
        "MsgRandom": sent.random is None,
        "TopicId": sent.topic_id is None,
        "Random": sent.random is None,
    }
    understood = _UNDERSTOOD[message.chat] - {name for name, is_lost in lost.items() if is_lost}
    return {name: value for name, value in fields.items() if name not in understood and value is not None}


def _plain(raw: bytes) -> dict[str, Any]:
    """The fields of a line; numbers that not every reader takes become text, as in a callback's event."""
    if not _LONG_NUMBER.search(raw):
        try:
            fields: dict[str, Any] = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            pass
        else:
            return fields
    read: dict[str, Any] = json.loads(raw, parse_int=_int_or_text, parse_float=_float_or_text, parse_constant=str)
    return read


def _int_or_text(digits: str) -> int | str:
    number = int(digits) if len(digits) <= 20 else None
    return number if number is not None and LEAST <= number <= GREATEST else digits


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _without(value: Any, dropped: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, dropped) for name, item in value.items() if name.lower() not in dropped}
    if isinstance(value, list):
        return [_without(item, dropped) for item in value]
    return value
