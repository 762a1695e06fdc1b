"""An example for each command: a documented body, or one made of the registry, and the events that it becomes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import orjson

from bridge.contract.samples import samples
from bridge.events import registry
from bridge.events.base import SCHEMA_BASE, EventTimePages
from bridge.events.introspection import alternatives_of, fields_of, is_part, item_type
from bridge.normalize.drift import Drift
from bridge.normalize.normalizer import Normalizer
from bridge.normalize.received import Received
from bridge.query import parse_query

APP_ID = "1400000000"
RECEIVED_NS = 1_670_574_414_987_000_000
EVENT_TIME_MS = 1_670_574_414_123


class _SilentDrift(Drift):
    """Examples are no traffic: nothing of them is counted or logged."""

    def note(self, kind: str, command: str, field: str = "", value: Any = None) -> None:
        """Do nothing."""


@cache
def documented_bodies() -> dict[str, list[bytes]]:
    """The bodies of the samples by their command, those with the most fields first."""
    found: dict[str, list[bytes]] = {}
    for sample in samples().values():
        found.setdefault(sample.command, []).append(sample.body)
    return {command: sorted(bodies, key=lambda body: -len(orjson.loads(body))) for command, bodies in found.items()}


def body_of(entry: registry.Entry) -> bytes:
    """An example of a command's body."""
    bodies = documented_bodies().get(entry.callback.command)
    return bodies[0] if bodies else made_body(entry)


def made_body(entry: registry.Entry) -> bytes:
    """A body with every documented field."""
    fields: dict[str, Any] = {"CallbackCommand": entry.callback.command}
    fields |= {field.tencent: _value(field.name, field.tencent, field.type) for field in entry.fields}
    callback = entry.callback
    is_read = not callback.identity or "event_time" in callback.identity or "event_time?" in callback.identity
    if is_read and callback.event_time is not EventTimePages.NONE:
        fields["EventTime"] = EVENT_TIME_MS
    return orjson.dumps({entry.callback.batch: [fields]} if entry.callback.batch else fields)


def events_of(command: str, body: bytes) -> list[bytes]:
    """The values of the events that a body becomes."""
    query = parse_query(
        f"SdkAppid={APP_ID}&CallbackCommand={command}&contenttype=json&ClientIP=203.0.113.7&OptPlatform=iOS"
    )
    normalizer = Normalizer(topic="events", dlq_topic="dlq", schema_base=SCHEMA_BASE, drift=_SilentDrift())
    return [record.value for record in normalizer.event(Received(query, body, RECEIVED_NS))]


def pretty(value: bytes) -> str:
    """JSON for people."""
    return json.dumps(orjson.loads(value), indent=2, ensure_ascii=False)


def _value(name: str, tencent: str, declared: Any) -> Any:
    if item := item_type(declared):
        return [_value(name, tencent, item)]
    if is_part(declared):
        return {field.tencent: _value(field.name, field.tencent, field.type) for field in fields_of(declared)}
    if declared is bool:
        return True if tencent.startswith(("Is", "Need")) else 1
    if declared is int:
        return EVENT_TIME_MS // 1000 if tencent.lower().endswith(("time", "ts")) else 1
    if declared is str:
        return {"group_id": "@TGS#1A2B3C4D", "msg_key": "48374_2837546_1670574414"}.get(name, f"example-{name}")
    return 1 if alternatives_of(declared) else {"example": True}
