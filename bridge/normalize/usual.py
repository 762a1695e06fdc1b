"""Makes the event of a usual callback in one go: a body in exactly the documented form, of which one event is made.

It only shortens the way: of what is not as usual as that nothing is said here, and `Normalizer` goes the long way. What
is made here would be made there too, byte for byte (`tests/normalize/test_usual.py`). What all callbacks of a command,
an app and a platform have in common is found out once (`Form`), and nothing is made on the way but the event: that
takes a fifth less time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from bridge.events import Data, Event, registry
from bridge.events.getters import Identity
from bridge.events.strict import Body
from bridge.journal.record import Record
from bridge.normalize.attributes import MAX_ATTRIBUTE_CHARS, SECONDS_BELOW, TIME_MS_BELOW, attribute, platform
from bridge.normalize.bounds import SMALL_BYTES
from bridge.normalize.identity import event_id
from bridge.normalize.received import EVENT_CONTENT_TYPE, Received
from bridge.normalize.repair import is_plain
from common.timestamps import rfc3339

MAX_FORMS = 256
_received_text = lru_cache(maxsize=16)(rfc3339)
"""Callbacks that have gathered are received in one millisecond, or in two."""


class Form(msgspec.Struct, frozen=True, gc=False):
    """What all callbacks of one command, one app and one platform have in common."""

    source: str
    type: str
    dataschema: str
    command: str
    """As the documentation writes it."""
    platform: str | None
    is_verbatim: bool
    decode: Callable[[bytes], Body]
    build: Callable[[Any], Data]
    missing: Callable[[Data], Sequence[str]]
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
        self._form = lru_cache(MAX_FORMS)(self._form_of)
        self._encode = msgspec.json.Encoder().encode

    def record(self, received: Received) -> Record | None:
        """The record of the event, of any size; None where the callback is not a usual one."""
        query, body = received.query, received.body
        form = self._form(query.app_id, query.command, query.platform)
        if form is None or len(body) > SMALL_BYTES or (form.is_verbatim and not is_plain(body)):
            return None
        try:
            strict = form.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if strict.callback_command != query.command and strict.callback_command is not None:
            return None
        received_ms = received.time_ns // 1_000_000
        received_text: Any = _received_text(received_ms)
        time_ms: Any = strict.event_time
        if time_ms is None:
            time_text = received_text
        elif type(time_ms) is int and SECONDS_BELOW <= time_ms < TIME_MS_BELOW:
            time_text = rfc3339(time_ms)
        else:
            return None
        data = form.build(strict)
        subject = form.subject(data)
        identity = form.identity(data, time_ms, time_ms is not None, form.platform)
        if (
            not subject
            or identity is None
            or len(subject) > MAX_ATTRIBUTE_CHARS
            or not (subject.isascii() and subject.isprintable())
            or form.missing(data)
        ):
            return None
        event = Event(
            specversion="1.0",
            id=event_id((query.app_id, form.command, *identity)),
            source=form.source,
            type=form.type,
            subject=subject,
            time=time_text,
            datacontenttype="application/json",
            dataschema=form.dataschema,
            callbackcommand=form.command,
            receivedtime=received_text,
            platform=form.platform,
            clientip=attribute(query.client_ip),
            data=data,
        )
        headers = [EVENT_CONTENT_TYPE]
        if received.trace:
            headers += received.trace
        return Record(self._topic, subject.encode(), self._encode(event), headers, received_ms)

    def _form_of(self, app_id: str, command: str, platform_name: str) -> Form | None:
        """None where callbacks are not usual: nothing is documented, or they come in batches."""
        entry = registry.find(command)
        if entry is None or entry.callback.batch:
            return None
        callback = entry.callback
        return Form(
            f"/tencent-im/{app_id}",
            callback.type,
            f"{self._schema_base}{callback.type}.json",
            callback.command,
            platform(platform_name),
            entry.is_verbatim,
            entry.decode,
            entry.build,
            entry.missing,
            entry.subject,
            entry.identity,
        )
