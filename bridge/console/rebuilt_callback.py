"""The callback that became an event, rebuilt of what the event has of it, under the platform's names."""

from __future__ import annotations

import contextlib
import shlex
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
import orjson
from aiokafka import ConsumerRecord

from bridge.console.hiding import Hiding
from bridge.contract.json_schema import Json
from bridge.contract.record_line import NOT_WRITTEN, json_text
from bridge.devstack.posting import as_named_for
from bridge.events import registry
from bridge.events.base import EventTimePages, Part
from bridge.events.introspection import fields_of, is_part, item_type
from common.timestamps import unix_ms


class RebuiltCallback(msgspec.Struct):
    """A callback, as far as its event tells."""

    command: str
    query: dict[str, str]
    """Without the signature."""
    body: Any
    """JSON, or text where the original was no JSON."""
    is_original: bool
    """Whether it is the body as it came (BRIDGE_KEEP_RAW); else it is rebuilt, and may be written differently."""
    is_whole: bool
    """Whether nothing of it is hidden: only then can it be posted again."""
    curl: str
    """A line for the shell that posts it, signed with the token in $TOKEN at that moment; empty where it is hidden."""
    bridge_send: str


def callback_of(record: ConsumerRecord, event: Json, hiding: Hiding, *, url: str) -> RebuiltCallback:
    """The callback of an event.

    Args:
        record: that the event is in.
        event: it.
        hiding: what is not shown.
        url: where to post it.
    """
    command = str(event.get("callbackcommand", ""))
    query = {
        "SdkAppid": str(event.get("source", "")).rpartition("/")[2],
        "CallbackCommand": command,
        "contenttype": "json",
        "ClientIP": str(event.get("clientip", "")),
        "OptPlatform": str(event.get("platform", "")),
    }
    query = as_named_for(command, {name: value for name, value in query.items() if value})
    raw = next((value for name, value in record.headers if name == "raw-body"), None)
    body = _json_or_text(raw) if raw is not None else _body(command, event)
    if json_text(body) == NOT_WRITTEN:
        body = NOT_WRITTEN
    shown = hiding.shown(body) if not isinstance(body, str) or not hiding.is_active else "…"
    is_whole = shown == body
    is_json = not isinstance(body, str)
    text = orjson.dumps(body).decode() if is_json else str(body)
    send = f"bridge send {shlex.quote(command)} --body - --url {shlex.quote(url)} <<'END'\n{text}\nEND"
    return RebuiltCallback(
        command=command,
        query=query,
        body=shown,
        is_original=raw is not None,
        is_whole=is_whole,
        curl=_curl(query, text, url) if is_whole else "",
        bridge_send=send if is_whole and is_json else "",
    )


def _json_or_text(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value.decode(errors="replace")


def _body(command: str, event: Json) -> Any:
    data = event.get("data")
    entry = registry.find(command)
    if entry is None or not isinstance(data, dict) or event.get("type") != entry.callback.type:
        return data
    body = {"CallbackCommand": event.get("bodycommand", command)} | _fields(data, entry.data)
    if entry.callback.event_time is not EventTimePages.NONE and event.get("time") != event.get("receivedtime"):
        with contextlib.suppress(ValueError, TypeError):
            body["EventTime"] = unix_ms(datetime.fromisoformat(str(event.get("time"))))
    return {entry.callback.batch: [body]} if entry.callback.batch else body


def _fields(data: Json, part: type[Part]) -> Json:
    found = {field.tencent: _value(data[field.name], field.type) for field in fields_of(part) if field.name in data}
    unknown = data.get("unknown")
    return found | (unknown if isinstance(unknown, dict) else {})


def _value(value: Any, declared: Any) -> Any:
    if (item := item_type(declared)) and isinstance(value, list):
        return [_value(one, item) for one in value]
    if is_part(declared) and isinstance(value, dict):
        return _fields(value, declared)
    return value


def _curl(query: dict[str, str], body: str, url: str) -> str:
    """Signs when it is run, so that no token stands in it and it works tomorrow."""
    given = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    signed = 'RequestTime=$T&Sign=$(printf %s "$TOKEN$T" | sha256sum | cut -c1-64)'
    return f'T=$(date +%s); curl -sS -d {shlex.quote(body)} {shlex.quote(f"{url}?{given}&")}"{signed}"'
