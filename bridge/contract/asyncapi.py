"""The topics, as an AsyncAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from bridge.contract.json_schema import Json, data_schema, envelope_schema
from bridge.contract.wording import what_happened
from bridge.events import registry


def asyncapi(types: Mapping[str, registry.Entry | None]) -> Json:
    """The document, of these event types; None where a type has no entry."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "im-bridge",
            "version": version("im-bridge"),
            "description": "Callbacks of Tencent Cloud IM as CloudEvents on Kafka. The key of a record is the subject.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "events": {
                "address": "im.events",
                "description": "One event for each callback, in the order of receipt for each subject and process.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in sorted(types)},
            },
            "deadLetters": {
                "address": "im.events.dlq",
                "description": "What could not become an event, as it came.",
                "messages": {"deadLetter": {"$ref": "#/components/messages/deadLetter"}},
            },
            "badges": {
                "address": "im.badges",
                "description": "Compacted: the newest badge of each account.",
                "messages": {"badge": {"$ref": "#/components/messages/badge"}},
            },
        },
        "operations": {
            "publishEvents": {"action": "send", "channel": {"$ref": "#/channels/events"}},
            "publishDeadLetters": {"action": "send", "channel": {"$ref": "#/channels/deadLetters"}},
            "publishBadges": {"action": "send", "channel": {"$ref": "#/channels/badges"}},
        },
        "components": {
            "messages": {
                **{name: _message(name, entry) for name, entry in sorted(types.items())},
                "deadLetter": _DEAD_LETTER,
                "badge": _BADGE,
            },
            "schemas": {
                "envelope": envelope_schema("#/components/schemas/{name}"),
                **{name: _payload(name, entry) for name, entry in sorted(types.items())},
            },
        },
    }


def _message(event_type: str, entry: registry.Entry | None) -> Json:
    summary = what_happened(entry.data) if entry else "A callback whose command is not known yet."
    return {
        "name": event_type,
        "title": event_type,
        "summary": summary,
        "contentType": "application/cloudevents+json",
        "headers": {"type": "object", "properties": _HEADERS},
        "payload": {"$ref": f"#/components/schemas/{event_type}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The event's subject."}}},
    }


def _payload(event_type: str, entry: registry.Entry | None) -> Json:
    data = data_schema(event_type, entry, f"#/components/schemas/{event_type}/$defs/{{name}}")
    parts = data.pop("$defs", {})
    own = {"type": "object", "properties": {"type": {"const": event_type}, "data": data}}
    schema: Json = {"allOf": [{"$ref": "#/components/schemas/envelope"}, own]}
    return schema | ({"$defs": parts} if parts else {})


_HEADERS: Json = {
    "content-type": {"type": "string", "const": "application/cloudevents+json"},
    "traceparent": {"type": "string", "description": "W3C trace context of a callback that is traced."},
    "tracestate": {"type": "string", "description": "W3C trace state, where one came."},
    "raw-body": {"type": "string", "description": "The original body, with BRIDGE_KEEP_RAW."},
    "raw-query": {"type": "string", "description": "The original query without the signature, with BRIDGE_KEEP_RAW."},
}
_DEAD_LETTER: Json = {
    "name": "deadLetter",
    "title": "Dead letter",
    "summary": "A body that could not become an event.",
    "contentType": "application/octet-stream",
    "headers": {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "Why, a short code such as `not_json`."},
            "detail": {"type": "string", "description": "Why, for people."},
            "receivedtime": {"type": "string", "format": "date-time"},
            "query": {"type": "string", "description": "The query of the callback, without the signature."},
            "traceparent": {"type": "string"},
            "tracestate": {"type": "string"},
            "skew-seconds": {
                "type": "string",
                "description": "Of what has a stale time: RequestTime minus the time of receipt.",
            },
            "body-bytes": {"type": "string", "description": "Size of a body that had to be left out."},
            "body-sha256": {"type": "string", "description": "SHA-256 of a body that had to be left out."},
        },
        "required": ["reason"],
    },
    "payload": {"type": "string", "description": "The body, byte for byte; empty where it had to be left out."},
    "bindings": {"kafka": {"key": {"type": "string", "description": "The SdkAppid."}}},
}
_BADGE: Json = {
    "name": "badge",
    "title": "Badge",
    "summary": "How many unread one-to-one messages an account has.",
    "contentType": "application/json",
    "payload": {
        "type": "object",
        "properties": {
            "app_id": {"type": "string"},
            "account": {"type": "string"},
            "unread": {"type": ["integer", "null"], "description": "Null while no count is known."},
            "time": {"type": ["string", "null"], "description": "When it was so."},
            "event_id": {"type": ["string", "null"], "description": "The event that said so."},
            "stale": {"type": "boolean", "description": "Whether the count has changed since, to something unknown."},
        },
        "required": ["app_id", "account", "unread", "time", "event_id", "stale"],
    },
    "bindings": {"kafka": {"key": {"type": "string", "description": "`{app_id}:{account}`"}}},
}
