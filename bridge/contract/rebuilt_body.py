"""The body of the callback that became an event, rebuilt of what the event has of it, under the platform's names."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from bridge.contract.json_schema import Json
from bridge.events import registry
from bridge.events.base import EventTimePages, Part
from bridge.events.introspection import fields_of, is_part, item_type
from common.text import text_of
from common.timestamps import unix_ms


def body_of_record(record: ConsumerRecord, event: Json) -> tuple[Any, bool]:
    """The body of the callback of an event, and whether it is the one that came (BRIDGE_KEEP_RAW).

    Args:
        record: that the event is in.
        event: it.

    Returns:
        JSON, or text where the original was no JSON.
    """
    raw = next((value for name, value in record.headers if name == "raw-body"), None)
    if raw is not None:
        return _json_or_text(raw), True
    return _body(text_of(event.get("callbackcommand")), event), False


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
            body["EventTime"] = unix_ms(datetime.fromisoformat(text_of(event.get("time"))))
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
