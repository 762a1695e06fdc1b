"""Reads what one body says: typed where it is documented, verbatim where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.events import UNKNOWN_TYPE, Data, registry
from bridge.events.envelope import attribute, is_attribute
from bridge.normalize import lenient
from bridge.normalize.attributes import event_time_ms, is_in_ms, text_or_empty
from bridge.normalize.bounds import SMALL_BYTES
from bridge.normalize.drift import Drift
from bridge.normalize.identity import best_subject, fallback_subject, hides_identity
from bridge.normalize.lenient import MAX_SURPRISES
from bridge.normalize.repair import UnreadableError, dump, is_plain, load
from bridge.query import MAX_NAME_CHARS


class Content(msgspec.Struct, frozen=True, gc=False):
    """What the body of one event says."""

    command: str
    type: str
    """Event type."""
    subject: str | None
    identity: Sequence[Any] | None
    """Values that make the event unique; None where nothing does."""
    time_ms: int | None
    """EventTime, Unix milliseconds; None where it has none."""
    body_command: str | None
    """The command in the body, where it differs."""
    data: Data | msgspec.Raw
    platform: str | None
    """OptPlatform of the URL as an attribute, None where it names none."""
    repaired: bool = False


class ContentReader:
    """Reads bodies.

    Args:
        drift: told where they differ from the documentation.
    """

    def __init__(self, drift: Drift) -> None:
        self._drift = drift
        self._to_note = math.inf

    def begin_batch(self) -> None:
        """From now on all bodies come from one callback: of that only so much is told, though each may differ."""
        self._to_note = MAX_SURPRISES

    def end_batch(self) -> None:
        """From now on each body is a callback again."""
        self._to_note = math.inf

    def read(
        self, entry: registry.Entry | None, command: str, body: bytes, repaired: bool, platform: str | None = None
    ) -> Content:
        """What a body says.

        Args:
            entry: the entry of the command in the URL, None where it has none.
            command: the command in the URL, empty where it names none.
            body: of one event.
            repaired: whether the body was mended before, so that it is no longer as it came.
            platform: OptPlatform of the URL as an attribute, None where it names none.

        Raises:
            UnreadableError: it is no JSON object.
        """
        content = None if entry is None or repaired else self._read_strictly(body, entry, command, platform)
        if content is None:
            content = self._read_leniently(body, entry, command, repaired, platform)
        return content

    def _read_strictly(self, body: bytes, entry: registry.Entry, command: str, platform: str | None) -> Content | None:
        """What a body in exactly the documented form says; None for any other."""
        if (entry.is_verbatim or len(body) > SMALL_BYTES) and not is_plain(body):
            return None
        try:
            strict = entry.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            wide = _other_form_of(entry, error)
            return None if wide is None else self._read_strictly(body, wide, command, platform)
        time_ms, in_ms = None, False
        if (event_time := strict.event_time) is not None:
            if (time_ms := event_time_ms(event_time)) is None:
                return None
            in_ms = is_in_ms(event_time, time_ms)
        data = entry.build(strict)
        for field in entry.missing(data):
            self._note("missing_field", entry.callback.command, field)
        body_command = None
        if strict.callback_command is not None and strict.callback_command != command:
            if not is_attribute(strict.callback_command):
                return None
            body_command = self._differing(strict.callback_command, command, entry)
        return Content(
            entry.callback.command,
            entry.callback.type,
            entry.subject(data) or fallback_subject(entry, data),
            entry.identity(data, time_ms, in_ms, platform),
            time_ms,
            body_command,
            data,
            platform,
        )

    def _read_leniently(
        self, body: bytes, entry: registry.Entry | None, command: str, was_repaired: bool, platform: str | None
    ) -> Content:
        """What any other body says. Raises as `read`."""
        fields, repaired = load(body)
        repaired = repaired or was_repaired
        body_command = text_or_empty(fields.get("CallbackCommand"))
        if entry is None and not command:
            entry = registry.find(body_command)
            command = body_command
        if entry is None:
            return self._read_unknown(fields, command, body_command, repaired, platform)
        entry = registry.told_by_fields(entry, fields)
        reading = lenient.read(fields, entry.data, _becomes_attribute)
        for surprise in reading.surprises:
            if not (entry.callback.is_open and surprise.kind == "unknown_field"):
                self._note(surprise.kind, entry.callback.command, surprise.field, surprise.value)
        data, event_time = reading.data, reading.event_time
        time_ms = event_time_ms(event_time)
        if time_ms is None and entry.time is not None:
            event_time = entry.time(data)
            time_ms = event_time_ms(event_time)
        in_ms = time_ms is not None and is_in_ms(event_time, time_ms)
        identity = entry.identity(data, time_ms, in_ms, platform)
        return Content(
            entry.callback.command,
            entry.callback.type,
            entry.subject(data) or fallback_subject(entry, data),
            None if identity is None or hides_identity(entry, data, identity) else identity,
            time_ms,
            self._differing(text_or_empty(reading.command), command, entry),
            data,
            platform,
            repaired,
        )

    def _read_unknown(
        self, fields: dict[str, Any], command: str, body_command: str, repaired: bool, platform: str | None
    ) -> Content:
        command = attribute(command) or attribute(body_command) or "unknown"
        self._note("unknown_command", command, "", fields)
        return Content(
            command,
            UNKNOWN_TYPE,
            best_subject(fields),
            None,
            event_time_ms(fields.get("EventTime")),
            self._differing(body_command, command, None),
            msgspec.Raw(dump(fields)),
            platform,
            repaired,
        )

    def _note(self, kind: str, command: str, field: str = "", value: Any = None) -> None:
        if self._to_note > 0:
            self._to_note -= 1
            self._drift.note(kind, command, field, value)

    def _differing(self, body_command: str, command: str, entry: registry.Entry | None) -> str | None:
        """The command in the body, if it is another one than the URL's."""
        if not body_command or body_command.lower() == command.lower():
            return None
        documented = registry.find(body_command)
        if entry is not None and documented is not None and documented.data is entry.data:
            return attribute(body_command)  # Documented to differ: no drift.
        self._note("command", command, "CallbackCommand", body_command)
        return attribute(body_command)


def _other_form_of(entry: registry.Entry, error: Exception) -> registry.Entry | None:
    """The entry that reads the other documented form of a body; None where that is not what was in the way.

    Args:
        entry: of its command.
        error: what was in the way.
    """
    # Else it is no JSON, or names a field that is not documented.
    is_about_types = isinstance(error, msgspec.ValidationError) and str(error).startswith("Expected")
    return entry.wide if is_about_types else None


class _Named(msgspec.Struct, gc=False):
    command: str | None = msgspec.field(name="CallbackCommand", default=None)


_named = msgspec.json.Decoder(_Named).decode


def command_in(body: bytes) -> str:
    """The command that a body names, its first MAX_NAME_CHARS; empty if it names none, or is long and no JSON: to mend
    it takes too long to do it for that alone."""
    return _command_in(body)[:MAX_NAME_CHARS]


def _command_in(body: bytes) -> str:
    try:
        return _named(body).command or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if len(body) > SMALL_BYTES:
            return ""
    try:
        return text_or_empty(load(body).fields.get("CallbackCommand"))
    except UnreadableError:
        return ""


def _becomes_attribute(name: str, value: Any) -> bool:
    """Whether a field of the envelope becomes an attribute."""
    if name == "EventTime":
        return event_time_ms(value) is not None
    return isinstance(value, str) and is_attribute(value)
