"""The documented callbacks as forms, and their posting: for development."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import orjson

from bridge.console.live import Live
from bridge.console.rows import PageRow, row_of
from bridge.contract.examples import body_of
from bridge.contract.fresh import fresh
from bridge.contract.json_schema import Json
from bridge.contract.record_line import content_of
from bridge.contract.wording import what_happened
from bridge.devstack.posting import UsageError, credentials, post, signed_url
from bridge.events import registry
from bridge.events.introspection import Field, alternatives_of, fields_of, is_part, item_type
from bridge.settings import DeveloperSettings
from common.text import text_of

EVENT_WITHIN_S = 3.0
POLL_S = 0.05
MAX_BODY_BYTES = 256 * 1024


class FormField(msgspec.Struct):
    """A field of a form."""

    name: str
    """The platform's name."""
    form: str
    """`text`, `number`, `yes_no`, or `json` for what has parts."""
    meaning: str
    optional: bool


class SampleForm(msgspec.Struct):
    """A documented callback, ready to be posted."""

    command: str
    type: str
    meaning: str
    awaits_answer: bool
    fields: list[FormField]
    body: Any
    """An example that has just happened: identity and times are new."""
    about: str
    """The platform's name of the field that the event will be about, where that is one of the form; else empty."""
    batch: str
    """Name of the list that the fields stand in, once for each item; empty where the body is they."""


class PostedSample(msgspec.Struct):
    """What came of a posted callback."""

    status: int
    reason: str
    reply: str
    accepted: bool
    took_ms: float
    event: PageRow | None
    """What it became, where that was seen in time."""


def commands() -> list[Json]:
    """All documented callbacks, for the list."""
    return [
        {"command": one.callback.command, "type": one.callback.type, "meaning": what_happened(one.data)}
        for one in registry.ENTRIES
    ]


def form_of(command: str) -> SampleForm | None:
    """The form of a callback; None where there is no such one."""
    entry = registry.find(command)
    if entry is None:
        return None
    about = next(iter(entry.callback.subject), "")
    return SampleForm(
        command=entry.callback.command,
        type=entry.callback.type,
        meaning=what_happened(entry.data),
        awaits_answer=entry.callback.awaits_answer,
        fields=[_form_field(field) for field in fields_of(entry.data)],
        body=orjson.loads(fresh(body_of(entry))),
        about=next((field.tencent for field in fields_of(entry.data) if field.name == about), ""),
        batch=entry.callback.batch,
    )


async def post_sample(
    settings: DeveloperSettings, live: Live, command: str, body: bytes, app: str | None
) -> PostedSample:
    """Post a callback, signed, and wait a little for its event.

    Raises:
        UsageError: it cannot be posted so.
        NoReplyError: nobody answers.
    """
    if len(body) > MAX_BODY_BYTES:
        raise UsageError(f"the body has more than {MAX_BODY_BYTES} bytes")
    address = signed_url(settings.console_send_url, credentials(settings, app or None), command)
    began_ms = int(time.time() * 1000)
    reply = await post(address, body)
    event = await _event_since(live, settings.topic, command, began_ms) if reply.is_accepted else None
    text = reply.body.decode(errors="replace")
    return PostedSample(reply.status, reply.reason, text, reply.is_accepted, round(reply.seconds * 1000, 1), event)


async def _event_since(live: Live, topic: str, command: str, began_ms: int) -> PageRow | None:
    until = time.monotonic() + EVENT_WITHIN_S
    while time.monotonic() < until:
        for kept in reversed(live.kept(topic)):
            if 0 <= int(kept.record.timestamp) < began_ms:
                break
            if text_of(content_of(kept.record).get("callbackcommand")).lower() == command.lower():
                return row_of(kept.record, live.hiding)
        await asyncio.sleep(POLL_S)
    return None


def _form_field(field: Field) -> FormField:
    declared = field.type
    if item_type(declared) or is_part(declared) or alternatives_of(declared) or declared not in {str, int, bool}:
        form = "json"
    else:
        form = {str: "text", int: "number", bool: "yes_no"}[declared]
    return FormField(field.tencent, form, field.meaning, field.optional)
