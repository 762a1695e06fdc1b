"""Second step: the platform's body becomes events, whose bytes are final from here on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from bridge.events import UNKNOWN_TYPE, Data, Event, registry
from bridge.ingress.verify import Query
from bridge.journal.record import Record
from bridge.normalize import lenient
from bridge.normalize.drift import Drift
from bridge.normalize.redaction import FieldFilter, dump, unsigned
from bridge.normalize.repair import UnreadableError, is_plain, load

EVENT_CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
MAX_ATTRIBUTE = 256
_MILLISECONDS = [f"{number:03d}Z" for number in range(1000)]
LATEST_TIME_MS = 253_402_300_800_000  # the year 10000, beyond which RFC 3339 cannot write a time


class Received(msgspec.Struct, frozen=True, gc=False):
    """A callback that passed verification."""

    query: Query
    body: bytes
    time_ns: int
    """When it was received, Unix nanoseconds; no two callbacks of a process have the same."""
    traceparent: str = ""
    """W3C trace context, if a proxy in front sent one."""


class _Content(msgspec.Struct, frozen=True, gc=False):
    """What the body of one event says."""

    command: str
    type: str
    subject: str | None
    identity: Sequence[Any] | None
    """Values that make the event unique; None where nothing does."""
    time_ms: int | None
    body_command: str | None
    """The command in the body, where it differs."""
    data: Data | msgspec.Raw
    repaired: bool = False


class _Item(NamedTuple):
    """A body that becomes one event: that of a callback, or an item of a batch."""

    body: bytes
    repaired: bool
    position: int = 0

    @property
    def is_object(self) -> bool:
        """Whether it can become an event."""
        return self.body.startswith(b"{")


_pack = msgspec.msgpack.Encoder().encode
_HEAD = b'{"specversion":"1.0"'
"""What the value of each event begins with."""


class Normalizer:
    """Makes records of callbacks.

    Args:
        topic: where events go.
        dlq_topic: where dead letters go.
        schema_base: what `dataschema` begins with.
        drop_fields: the platform's names of fields that must reach neither disk nor topic.
        keep_raw: whether events carry the original body and query in headers.
        drift: told where bodies differ from the documentation.
    """

    def __init__(
        self,
        *,
        topic: str,
        dlq_topic: str,
        schema_base: str,
        drop_fields: Iterable[str] = (),
        keep_raw: bool = False,
        drift: Drift | None = None,
    ) -> None:
        self._topic = topic
        self._dlq_topic = dlq_topic
        self._schema_base = schema_base
        self._filter = FieldFilter(drop_fields)
        self._keep_raw = keep_raw
        self._drift = drift or Drift()
        self._encode = msgspec.json.Encoder().encode

    def event(self, received: Received) -> list[Record]:
        """The records of the callback: one event, or of a batch one for each item, some of which may be dead letters.

        Raises:
            UnreadableError: nothing in the body can become an event.
        """
        query = received.query
        body, repaired = self._filter.apply(received.body) if self._filter.is_active else (received.body, False)
        command = query.command
        entry = registry.find(command)
        if entry is not None and not entry.callback.batch:
            content = self._read(entry, command, body, repaired)
            return [self._record(received, content, body)]
        items = _batch(body, entry.callback.batch if entry else "Events", is_sure=entry is not None)
        if items is None:
            return [self._record(received, self._read(entry, command, body, repaired), body)]
        if not any(item.is_object for item in items):
            raise UnreadableError("empty_batch", "the body has no events")
        return [self._record_of_batch(received, item._replace(repaired=repaired or item.repaired)) for item in items]

    def dead_letter(self, received: Received, reason: str, detail: str) -> Record:
        """The record that keeps a callback which cannot become an event: its bytes as they came, and why.

        Where fields must be dropped, they are; where nobody can tell what is in the body, its size and SHA-256 stand
        for it.
        """
        query = received.query
        headers = [
            ("content-type", b"application/octet-stream"),
            ("reason", reason.encode()),
            ("detail", detail.encode(errors="replace")),
            ("receivedtime", rfc3339(received.time_ns // 1_000_000).encode()),
            ("query", unsigned(query)),
        ]
        if received.traceparent:
            headers.append(("traceparent", received.traceparent.encode()))
        body = received.body
        if self._filter.is_active:
            try:
                body, _ = self._filter.apply(body)
            except UnreadableError:
                headers.append(("body-bytes", str(len(body)).encode()))
                headers.append(("body-sha256", hashlib.sha256(body).hexdigest().encode()))
                body = b""
        return Record(self._dlq_topic, query.app_id.encode(), body, headers, received.time_ns // 1_000_000)

    def _record_of_batch(self, received: Received, item: _Item) -> Record:
        command = received.query.command
        try:
            content = self._read(registry.find(command), command, item.body, item.repaired)
            return self._record(received, content, item.body, item.position)
        except UnreadableError as error:
            alone = msgspec.structs.replace(received, body=item.body)
            return self.dead_letter(alone, error.reason, f"event {item.position + 1} of a batch: {error}")

    def _record(self, received: Received, content: _Content, body: bytes, index: int = 0) -> Record:
        query = received.query
        app_id = query.app_id
        received_ms = received.time_ns // 1_000_000
        # Text, because msgspec would write microseconds.
        received_text: Any = rfc3339(received_ms)
        time_text: Any = received_text if content.time_ms is None else rfc3339(content.time_ms)
        if content.identity is not None:
            event_id = _event_id((app_id, content.command, *content.identity))
        else:
            # The body too: other processes and other items of a batch may have the same time.
            event_id = _event_id((app_id, content.command, received.time_ns, index, body))
        subject = content.subject or app_id
        if len(subject) > MAX_ATTRIBUTE:  # No account and no group is named so, and keys are held in memory.
            subject = app_id
        event = Event(
            specversion="1.0",
            id=event_id,
            source=f"/tencent-im/{app_id}",
            type=content.type,
            subject=subject,
            time=time_text,
            datacontenttype="application/json",
            dataschema=f"{self._schema_base}{content.type}.json",
            callbackcommand=content.command,
            receivedtime=received_text,
            platform=_platform(query.get("optplatform")),
            clientip=_attribute(query.get("clientip")),
            bodycommand=content.body_command,
            repaired=True if content.repaired else None,
            data=content.data,
        )
        headers = [EVENT_CONTENT_TYPE]
        if received.traceparent:
            headers.append(("traceparent", received.traceparent.encode()))
        if self._keep_raw:
            headers += [("raw-body", body), ("raw-query", unsigned(query))]
        return Record(self._topic, subject.encode(), self._encode(event), headers, received_ms)

    def _read(self, entry: registry.Entry | None, command: str, body: bytes, repaired: bool) -> _Content:
        """What a body says.

        Raises:
            UnreadableError: it is no JSON object.
        """
        content = None if entry is None or repaired else self._read_strictly(body, entry, command)
        if content is None:
            content = self._read_leniently(body, entry, command, repaired)
        return content

    def _read_strictly(self, body: bytes, entry: registry.Entry, command: str) -> _Content | None:
        """What a body in exactly the documented form says; None for any other."""
        try:
            strict = entry.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        time_ms = None
        if strict.event_time is not None and (time_ms := _time_ms(strict.event_time)) is None:
            return None
        if entry.is_verbatim and not is_plain(body):
            return None
        data = entry.build(strict)
        for field in entry.missing(data):
            self._drift.note("missing_field", entry.callback.command, field)
        body_command = None
        if strict.callback_command is not None and strict.callback_command != command:
            if not _is_attribute(strict.callback_command):
                return None
            body_command = self._differing(strict.callback_command, command, entry)
        return _Content(
            entry.callback.command,
            entry.callback.type,
            entry.subject(data) or _fallback_subject(entry, data),
            entry.identity(data, time_ms),
            time_ms,
            body_command,
            data,
        )

    def _read_leniently(self, body: bytes, entry: registry.Entry | None, command: str, was_repaired: bool) -> _Content:
        """What any other body says. Raises as `_read`."""
        fields, repaired = load(body)
        repaired = repaired or was_repaired
        body_command = _text(fields.get("CallbackCommand"))
        if entry is None and not command:
            entry = registry.find(body_command)
            command = body_command
        if entry is None:
            return self._read_unknown(fields, command, body_command, repaired)
        reading = lenient.read(fields, entry.data, _understands)
        for surprise in reading.surprises:
            self._drift.note(surprise.kind, entry.callback.command, surprise.field, surprise.value)
        data = reading.data
        time_ms = _time_ms(reading.event_time)
        return _Content(
            entry.callback.command,
            entry.callback.type,
            entry.subject(data) or _fallback_subject(entry, data),
            entry.identity(data, time_ms),
            time_ms,
            self._differing(_text(reading.command), command, entry),
            data,
            repaired,
        )

    def _read_unknown(self, fields: dict[str, Any], command: str, body_command: str, repaired: bool) -> _Content:
        command = _attribute(command) or _attribute(body_command) or "unknown"
        self._drift.note("unknown_command", command, "", fields)
        return _Content(
            command,
            UNKNOWN_TYPE,
            best_subject(fields),
            None,
            _time_ms(fields.get("EventTime")),
            self._differing(body_command, command, None),
            msgspec.Raw(dump(fields)),
            repaired,
        )

    def _differing(self, body_command: str, command: str, entry: registry.Entry | None) -> str | None:
        """The command in the body, if it is another one than the URL's."""
        if not body_command or body_command.lower() == command.lower():
            return None
        if entry is not None and registry.find(body_command) is entry:
            return _attribute(body_command)  # Documented to differ: no drift.
        self._drift.note("command", command, "CallbackCommand")
        return _attribute(body_command)


def decided(record: Record, decision: str, code: int) -> Record:
    """The record of an event with the decision among its attributes."""
    attributes = msgspec.json.encode({"decision": decision, "decisioncode": code})
    assert record.value.startswith(_HEAD)
    return msgspec.structs.replace(record, value=b"%b,%b%b" % (_HEAD, attributes[1:-1], record.value[len(_HEAD) :]))


def command_in(body: bytes) -> str:
    """The command that a body names, empty if it names none."""
    try:
        return _text(load(body).fields.get("CallbackCommand"))
    except UnreadableError:
        return ""


# -- Batches ----------------------------------------------------------------------------------------------------------

_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _batch(body: bytes, name: str, *, is_sure: bool) -> list[_Item] | None:
    """The items of a batch body, None where the body is no batch.

    Without an entry that says so (`is_sure`), it is one if it has nothing but a list of objects under that name.

    Raises:
        UnreadableError: the body is no JSON object.
    """
    if f'"{name}"'.encode() not in body:
        return None
    try:
        fields: dict[str, Any] = dict(_raw_fields(body))
        values: list[Any] = _raw_items(fields[name])
        items = [_Item(bytes(value), False, index) for index, value in enumerate(values)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        fields, repaired = load(body)
        if not isinstance(fields.get(name), list):
            return None
        items = [_Item(dump(value), repaired, index) for index, value in enumerate(fields[name])]
        fields = {other: dump(value) for other, value in fields.items()}
    del fields[name]
    if not is_sure and (fields or not all(item.is_object for item in items)):
        return None
    return [_with_common(item, fields) for item in items] if fields else items


def _with_common(item: _Item, common: dict[str, bytes]) -> _Item:
    """The item with what stands beside the list, which is true of all of them."""
    try:
        fields, repaired = load(item.body)
    except UnreadableError:
        return item
    shared = {name: load(b'{"_":%b}' % bytes(value)).fields["_"] for name, value in common.items()}
    return _Item(dump(shared | fields), repaired or item.repaired, item.position)


# -- Subject, identity, time ------------------------------------------------------------------------------------------

SUBJECTS = ("GroupId", "GroupID", "group_id", "To_Account", "to_account", "Report_Account", "From_Account")


def best_subject(fields: dict[str, Any]) -> str | None:
    """The account or group that a body without an entry is most likely about, searching nested objects last."""
    for name in SUBJECTS:
        if _is_name(fields.get(name)):
            return str(fields[name])
    for name, value in fields.items():
        if name.lower().endswith("_account") and _is_name(value):
            return str(value)
    for value in fields.values():
        nested = value[0] if isinstance(value, list) and value else value
        if isinstance(nested, dict) and (subject := best_subject(nested)):
            return subject
    return None


def _fallback_subject(entry: registry.Entry, data: Data) -> str | None:
    return best_subject(msgspec.to_builtins(data)) if entry.callback.subject else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _event_id(values: tuple[Any, ...]) -> str:
    # MessagePack puts the length in front of each value: ("ab", "c") and ("a", "bc") must differ.
    return hashlib.blake2b(_pack(values), digest_size=16).hexdigest()


def _understands(name: str, value: Any) -> bool:
    """Whether a field of the envelope becomes an attribute."""
    if name == "EventTime":
        return _time_ms(value) is not None
    return isinstance(value, str) and _is_attribute(value)


def _time_ms(value: Any) -> int | None:
    """EventTime as Unix milliseconds: the platform sends milliseconds or seconds, as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return None
    milliseconds = value * 1000 if value < 100_000_000_000 else value
    return milliseconds if milliseconds < LATEST_TIME_MS else None


def rfc3339(time_ms: int) -> str:
    """Unix milliseconds as text, e.g. `2019-05-10T09:38:46.123Z`."""
    seconds, milliseconds = divmod(time_ms, 1000)
    return _rfc3339_second(seconds) + _MILLISECONDS[milliseconds]


@lru_cache(maxsize=1024)
def _rfc3339_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


@lru_cache(maxsize=256)
def _platform(text: str) -> str | None:
    return _attribute(text.lower())


def _attribute(text: str) -> str | None:
    """`text` as the value of an attribute of the event: valid Unicode, no control characters, of bounded length."""
    text = text[:MAX_ATTRIBUTE]
    if not (text.isascii() and text.isprintable()):
        valid = text.encode(errors="replace").decode()
        text = "".join(character if character.isprintable() else "\ufffd" for character in valid)
    return text or None


def _is_attribute(text: str) -> bool:
    return _attribute(text) == text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


__all__ = ["Normalizer", "Received", "UnreadableError", "best_subject", "command_in", "decided", "rfc3339"]
