"""Second step: the platform's body becomes an event, whose bytes are final from here on."""

from __future__ import annotations

import hashlib
import time
import typing
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson

from bridge import registry
from bridge.events import UNKNOWN_TYPE
from bridge.events.contract import Data, Event, Part
from bridge.record import Record
from bridge.verify import Query

EVENT_CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
MAX_ATTRIBUTE = 256
LATEST_TIME_MS = 253_402_300_800_000  # the year 10000, beyond which RFC 3339 cannot write a time


class Received(NamedTuple):
    """A callback that passed verification."""

    query: Query
    body: bytes
    time_ns: int
    """When it was received, Unix nanoseconds; no two callbacks of a process have the same."""
    traceparent: str = ""
    """W3C trace context, if a proxy in front sent one."""


class UnreadableError(Exception):
    """The body cannot become an event. `reason` is a short code, the message says what is wrong with the body."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Normalizer:
    """Makes records of callbacks.

    Args:
        topic: where events go.
        dlq_topic: where dead letters go.
        schema_base: what `dataschema` begins with.
    """

    def __init__(self, *, topic: str, dlq_topic: str, schema_base: str) -> None:
        self._topic = topic
        self._dlq_topic = dlq_topic
        self._schema_base = schema_base
        self._encoder = msgspec.json.Encoder()

    def event(self, received: Received) -> Record:
        """The record of the callback's event.

        Raises:
            UnreadableError: the body is not a JSON object, or is nested too deeply.
        """
        try:
            content = _read(received)
            return self._record(received, content)
        except RecursionError as error:
            raise UnreadableError("too_deep", "the body is nested too deeply") from error

    def dead_letter(self, received: Received, reason: str, detail: str) -> Record:
        """The record that keeps a callback which cannot become an event: its bytes as they came, and why."""
        query = received.query
        headers = [
            ("content-type", b"application/octet-stream"),
            ("reason", reason.encode()),
            ("detail", detail.encode(errors="replace")),
            ("receivedtime", rfc3339(received.time_ns // 1_000_000).encode()),
            ("query", _unsigned(query)),
        ]
        if received.traceparent:
            headers.append(("traceparent", received.traceparent.encode()))
        return Record(self._dlq_topic, query.app_id.encode(), received.body, headers, received.time_ns // 1_000_000)

    def _record(self, received: Received, content: _Content) -> Record:
        query = received.query
        received_ms = received.time_ns // 1_000_000
        # Text, because msgspec would write microseconds.
        received_text: Any = rfc3339(received_ms)
        time_text: Any = received_text if content.time_ms is None else rfc3339(content.time_ms)
        event = Event(
            specversion="1.0",
            id=_event_id(query.app_id, content, received.time_ns),
            source=f"/tencent-im/{query.app_id}",
            type=content.type,
            subject=content.subject or query.app_id,
            time=time_text,
            datacontenttype="application/json",
            dataschema=f"{self._schema_base}{content.type}.json",
            callbackcommand=content.command,
            receivedtime=received_text,
            platform=_attribute(query.get("optplatform").lower()),
            clientip=_attribute(query.get("clientip")),
            bodycommand=content.body_command,
            data=content.data,
        )
        headers = [EVENT_CONTENT_TYPE]
        if received.traceparent:
            headers.append(("traceparent", received.traceparent.encode()))
        return Record(self._topic, event.subject.encode(), self._encoder.encode(event), headers, received_ms)


class _Content(NamedTuple):
    """What the body says."""

    command: str
    type: str
    subject: str | None
    identity: tuple[Any, ...] | None
    """Values that make the event unique; None where nothing does."""
    time_ms: int | None
    body_command: str | None
    data: Data | msgspec.Raw


def _read(received: Received) -> _Content:
    entry = registry.find(received.query.command)
    if entry is None:
        return _read_unknown(received)
    try:
        body = entry.read.decode(received.body)
        data = msgspec.convert(body, entry.data, from_attributes=True, strict=False)
        time_ms, body_command = _time_ms(body.event_time), body.callback_command
        if time_ms is None and body.event_time is not None:
            raise msgspec.ValidationError
    except (msgspec.DecodeError, UnicodeDecodeError):
        fields = _load(received.body)
        data, time_ms, body_command = _read_leniently(fields, entry.data)
    if body_command is None or body_command.lower() == received.query.command.lower():
        body_command = None
    return _Content(
        entry.callback.command,
        entry.callback.type,
        getattr(data, entry.callback.subject) or best_subject(_plain(data)),
        _identity(entry, data, time_ms),
        time_ms,
        body_command,
        data,
    )


def _read_unknown(received: Received) -> _Content:
    fields = _load(received.body)
    body_command = fields.get("CallbackCommand")
    body_command = body_command if isinstance(body_command, str) else None
    command = received.query.command or body_command or "unknown"
    return _Content(
        _attribute(command) or "unknown",
        UNKNOWN_TYPE,
        best_subject(fields),
        None,
        _time_ms(fields.get("EventTime")),
        _attribute(body_command) if body_command and body_command.lower() != command.lower() else None,
        # On one line, since people read topics with tools that read lines.
        msgspec.Raw(msgspec.json.format(received.body, indent=-1)),
    )


def _load(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body:
            raise UnreadableError("empty", "the body is empty") from error
        raise UnreadableError("not_json", f"the body is no JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(fields, dict):
        raise UnreadableError("not_an_object", f"the body is a JSON {type(fields).__name__}, not an object")
    return fields


# -- Bodies that differ from the documentation, field by field ---------------------------------------------------------


def _read_leniently(fields: dict[str, Any], data_type: type[Data]) -> tuple[Data, int | None, str | None]:
    known, unknown = _split(fields, data_type, envelope=registry.ENVELOPE_FIELDS)
    time_ms = _time_ms(fields.get("EventTime"))
    if time_ms is None and fields.get("EventTime") is not None:
        unknown["EventTime"] = fields["EventTime"]
    body_command = fields.get("CallbackCommand")
    if unknown:
        known["unknown"] = unknown
    return data_type(**known), time_ms, body_command if isinstance(body_command, str) else None


def _split(
    fields: dict[str, Any], part: type[Part], *, envelope: tuple[str, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The documented fields under our names and types, and the rest under the platform's.

    A value whose type is a surprise belongs to the rest: a typed field has its type or is absent.
    """
    known: dict[str, Any] = {}
    unknown = {name: value for name, value in fields.items() if name not in envelope}
    for field in registry.fields_of(part):
        value = fields.get(field.tencent)
        if value is None:
            unknown.pop(field.tencent, None)
            continue
        try:
            known[field.name], rest = _coerce(value, field.type)
        except (TypeError, ValueError):
            continue
        if rest:
            unknown[field.tencent] = rest
        else:
            del unknown[field.tencent]
    return known, unknown


def _coerce(value: Any, declared: Any) -> tuple[Any, Any]:
    """`value` in its declared type, and what is undocumented inside it (in place, so that it can be told where).

    Raises:
        TypeError, ValueError: it has no form in that type.
    """
    if typing.get_origin(declared) is list:
        if not isinstance(value, list):
            raise TypeError
        pairs = [_coerce(item, typing.get_args(declared)[0]) for item in value]
        rests = [rest for _, rest in pairs]
        return [item for item, _ in pairs], rests if any(rests) else None
    if isinstance(declared, type) and issubclass(declared, Part):
        if not isinstance(value, dict):
            raise TypeError
        known, unknown = _split(value, declared)
        return declared(**known), unknown
    return _scalar(value, declared), None


def _scalar(value: Any, declared: Any) -> Any:
    if declared is Any or type(value) is declared:
        return value
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if declared is str and is_number:
        return str(value)
    if declared is int and isinstance(value, str):
        return int(value)
    if declared is bool and is_number and value in (0, 1):
        return bool(value)
    raise TypeError


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


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _plain(data: Data) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}


def _identity(entry: registry.Entry, data: Data, time_ms: int | None) -> tuple[Any, ...] | None:
    callback = entry.callback
    if not callback.exact:
        return None
    values = tuple(time_ms if name == "event_time" else getattr(data, name) for name in callback.identity)
    return None if None in values else values


def _event_id(app_id: str, content: _Content, received_ns: int) -> str:
    # Every part is preceded by its length: ("ab", "c") and ("a", "bc") must differ.
    digest = hashlib.blake2b(digest_size=16)
    identity = (received_ns,) if content.identity is None else content.identity
    for part in (app_id, content.command, *identity):
        encoded = str(part).encode(errors="surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()


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
    return f"{_rfc3339_second(seconds)}{milliseconds:03d}Z"


@lru_cache(maxsize=1024)
def _rfc3339_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


def _attribute(text: str) -> str | None:
    """`text` as the value of an attribute of the event: valid Unicode, of bounded length, None where empty."""
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text[:MAX_ATTRIBUTE] or None


def _unsigned(query: Query) -> bytes:
    """The query string without what proves authenticity, which must reach no topic."""
    return "&".join(_pairs(query)).encode(errors="replace")


def _pairs(query: Query) -> Iterator[str]:
    for name, value in query.parameters.items():
        if name not in {"sign", "requesttime"}:
            yield f"{name}={value}"
