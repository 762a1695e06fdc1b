"""Makes the event of a usual callback in one go: a body in exactly the documented form, of which one event is made.

It only shortens the way: of what is not as usual as that nothing is said here, and `Normalizer` goes the long way. What
is made here would be made there too, byte for byte (`tests/normalize/test_usual.py`). What all callbacks of a command,
an app and a platform have in common is found out once (`Form`). Of the event only its data is made: the text around
that is put together of pieces, for half of what it takes to encode an `Event`. The decoder finds what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from bridge.events import Data, Event, registry
from bridge.events.envelope import EVENT_CONTENT_TYPE, MAX_ATTRIBUTE_CHARS, id_of_packed, pack_into, platform
from bridge.events.getters import Identity
from bridge.events.strict import Body
from bridge.journal.record import Record
from bridge.normalize.attributes import SECONDS_BELOW, TIME_MS_BELOW
from bridge.normalize.bounds import SMALL_BYTES
from bridge.normalize.repair import is_plain
from bridge.query import Common, Query
from common.remembered import Remembered
from common.timestamps import Rfc3339, rfc3339
from common.tracing.context import RecordHeaders

MAX_FORMS = 256
MARK = "\ue000"
"""Stands for what differs, while an event is cut. Of no use to anybody, so nobody uses it."""
END = b"}"
"""What comes behind the data."""
BARE = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
"""ASCII that stands in JSON as it is: nothing else is in the usual account, for which one need not ask the encoder."""
DELETE = "\x7f"
"""The only control character that JSON does not escape."""


class EnvelopeText(NamedTuple):
    """The JSON of an event, cut where the events of a form differ."""

    before_id: str
    before_subject: str
    before_time: str
    before_received: str
    before_client: str
    before_data: str


class Form(msgspec.Struct, frozen=True, gc=False):
    """What all callbacks of one command, one app and one platform have in common."""

    text: EnvelopeText
    clientless_text: EnvelopeText
    """Of an event without `clientip`."""
    owner: tuple[str, str]
    """What every identity begins with: the app, and the command as the documentation writes it."""
    platform: str | None
    is_verbatim: bool
    decode: Callable[[bytes], Body]
    """Refuses what lacks a documented field."""
    build: Callable[[Any], Data]
    subject: Callable[[Data], str | None]
    identity: Identity


class UsualEvents:
    """Makes records of usual callbacks.

    Args:
        topic: where events go.
        schema_base: what `dataschema` begins with.
    """

    def __init__(self, *, topic: str, schema_base: str) -> None:
        self._topic = topic
        self._schema_base = schema_base
        self._forms = lru_cache(MAX_FORMS)(self._form_of)
        self._form = Remembered(self._form_for, most=MAX_FORMS)
        """Of what queries have in common: to look for app, command and platform takes three times as long."""
        self._received_ms = 0
        self._received_text = ""
        """Of the callback before it, which was received in the same millisecond, nearly always."""
        self._time_text = Rfc3339().text
        self._encoder = msgspec.json.Encoder()
        self._json, self._packed = bytearray(), bytearray()
        """What was encoded last: new bytes for each would take half as long again. One buffer for both would grow and
        shrink each time."""

    def record(self, query: Query, body: bytes, time_ns: int, trace: RecordHeaders) -> Record | None:
        """The record of the event, of any size; None where the callback is not a usual one. Arguments as of `Received`,
        of which one for each callback would cost as much as the id of its event."""
        common = query.common
        form = self._form[common]
        if form is None or len(body) > SMALL_BYTES or (form.is_verbatim and not is_plain(body)):
            return None
        try:
            strict = form.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if strict.callback_command != common.command and strict.callback_command is not None:
            return None
        received_ms = time_ns // 1_000_000
        if received_ms != self._received_ms:
            self._received_ms, self._received_text = received_ms, rfc3339(received_ms)
        received_text = self._received_text
        time_ms: Any = strict.event_time
        if time_ms is None:
            time_text = received_text
        elif type(time_ms) is int and SECONDS_BELOW <= time_ms < TIME_MS_BELOW:
            time_text = self._time_text(time_ms)
        else:
            return None
        data = form.build(strict)
        subject = form.subject(data) or ""
        key = subject.encode()
        identity = form.identity(data, time_ms, time_ms is not None, form.platform)
        client_ip = query.client_ip
        if (
            not key
            or identity is None
            or ((key.strip(BARE) or len(key) > MAX_ATTRIBUTE_CHARS) and not self._is_bare(subject))
            # What was no UTF-8 in a query the encoder does not take.
            or not (client_ip == query.address or (client_ip.isascii() and self._is_bare(client_ip)))
        ):
            return None
        text = form.text if client_ip else form.clientless_text
        before_id, before_subject, before_time, before_received, before_client, before_data = text
        pack_into(form.owner + identity, self._packed)
        envelope = (
            f"{before_id}{id_of_packed(self._packed)}{before_subject}{subject}"
            f"{before_time}{time_text}{before_received}{received_text}{before_client}{client_ip}{before_data}"
        )
        headers = [EVENT_CONTENT_TYPE]
        if trace:
            headers += trace
        self._encoder.encode_into(data, self._json)
        self._json += END
        return Record(self._topic, key, envelope.encode() + self._json, headers, received_ms)

    def _is_bare(self, text: str) -> bool:
        """Whether it may be an attribute, and stands in JSON as it is: the encoder tells sooner than searches would for
        what must not be in it."""
        return len(self._encoder.encode(text)) == len(text) + 2 <= MAX_ATTRIBUTE_CHARS + 2 and DELETE not in text

    def _form_for(self, common: Common) -> Form | None:
        return self._forms(common.app_id, common.command, common.platform)

    def _form_of(self, app_id: str, command: str, platform_name: str) -> Form | None:
        """None where callbacks are not usual: nothing is documented, or they come in batches."""
        entry = registry.find(command)
        if entry is None or entry.callback.batch:
            return None
        callback = entry.callback
        named_platform = platform(platform_name)
        attributes = {
            "source": f"/tencent-im/{app_id}",
            "type": callback.type,
            "dataschema": f"{self._schema_base}{callback.type}.json",
            "callbackcommand": callback.command,
            "platform": named_platform,
        }
        text, clientless_text = _envelope(attributes, MARK), _envelope(attributes, None)
        if text is None or clientless_text is None:
            return None
        return Form(
            text,
            clientless_text,
            (app_id, callback.command),
            named_platform,
            entry.is_verbatim,
            registry.complete_decoder(entry.data),
            entry.build,
            entry.subject,
            entry.identity,
        )


def _envelope(attributes: dict[str, Any], client_ip: str | None) -> EnvelopeText | None:
    """The text of an event with these attributes, without the end; None where one of them holds a MARK."""
    mark: Any = MARK
    event = Event(
        specversion="1.0",
        id=mark,
        subject=mark,
        time=mark,
        datacontenttype="application/json",
        receivedtime=mark,
        clientip=client_ip,
        data=msgspec.Raw(MARK.encode()),
        **attributes,
    )
    *parts, end = msgspec.json.encode(event).decode().split(MARK)
    assert end.encode() == END
    if client_ip is None:
        parts.append("")
    return EnvelopeText(*parts) if len(parts) == len(EnvelopeText._fields) else None
