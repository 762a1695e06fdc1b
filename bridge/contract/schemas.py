"""The contract for machines: JSON Schemas, an AsyncAPI and an OpenAPI document, all from the registry.

`schemas/` holds, for an event type such as `im.c2c.message.recalled`:

| file | schema of |
| --- | --- |
| `im.c2c.message.recalled.json` | the data; the event's `dataschema` names it |
| `events/im.c2c.message.recalled.json` | the whole event |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bridge.contract import reference
from bridge.contract.examples import SCHEMA_BASE, body_of
from bridge.events import UNKNOWN_TYPE, Event, registry
from bridge.ingress.decisions import Answer

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"

Json = dict[str, Any]


def documents() -> dict[str, str]:
    """Every file under `schemas/`, by its path there."""
    found: dict[str, Json] = {}
    for event_type, data in sorted(_data_types().items()):
        identity = {"$schema": DIALECT, "$id": f"{SCHEMA_BASE}{event_type}.json"}
        found[f"{event_type}.json"] = identity | data_schema(event_type, data, "#/$defs/{name}")
        identity = {"$schema": DIALECT, "$id": f"{SCHEMA_BASE}events/{event_type}.json"}
        found[f"events/{event_type}.json"] = identity | event_schema(event_type, data, "#/$defs/{name}")
    found["asyncapi.json"] = asyncapi()
    found["openapi.json"] = openapi()
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in found.items()}


def differences(folder: Path, docs: Path) -> list[Path]:
    """The files that are not what `write` would write: missing, different, or nothing that belongs there."""
    expected = _expected(folder, docs)
    stale = [path for path, text in expected.items() if not path.is_file() or path.read_text("utf-8") != text]
    return sorted([*stale, *(path for path in folder.rglob("*.json") if path not in expected)])


def write(folder: Path, docs: Path) -> list[Path]:
    """Bring the files up to date; those that changed."""
    changed = differences(folder, docs)
    expected = _expected(folder, docs)
    for path in changed:
        if path in expected:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected[path], "utf-8")
        else:
            path.unlink()
    return changed


def _expected(folder: Path, docs: Path) -> dict[Path, str]:
    return {folder / name: text for name, text in documents().items()} | {docs: reference.document()}


def _data_types() -> dict[str, registry.Entry | None]:
    return {entry.callback.type: entry for entry in registry.ENTRIES} | {UNKNOWN_TYPE: None}


# -- JSON Schema ------------------------------------------------------------------------------------------------------


def data_schema(event_type: str, entry: registry.Entry | None, ref: str) -> Json:
    """The schema of the data of an event type, its parts under `$defs`. `ref` is how they are referred to."""
    if entry is None:
        return {"title": event_type, "description": "The body as the platform sent it.", "type": "object"}
    return {"title": event_type, **_schema_of(entry.data, ref)}


def event_schema(event_type: str, entry: registry.Entry | None, ref: str) -> Json:
    """The schema of a whole event: the envelope around the data."""
    data = data_schema(event_type, entry, ref)
    parts = data.pop("$defs", {})
    envelope = _envelope(ref)
    envelope["properties"]["type"]["const"] = event_type
    envelope["properties"]["data"] = {"$ref": ref.format(name="data")}
    head = {"title": event_type, "description": data["description"]}
    return envelope | head | {"$defs": {"data": data, **parts}}


def _envelope(ref: str) -> Json:
    """The schema of what all events have in common."""
    schema = _schema_of(Event, ref)
    properties = schema["properties"]
    properties["specversion"]["const"] = "1.0"
    properties["datacontenttype"]["const"] = "application/json"
    properties["source"]["pattern"] = r"^/tencent-im/\d+$"
    for name in ("id", "subject", "callbackcommand"):
        properties[name]["minLength"] = 1
    for name in ("time", "receivedtime"):
        properties[name] |= {"format": "date-time", "pattern": TIME_PATTERN}
    schema["required"].append("data")
    return schema


def _schema_of(cls: type[msgspec.Struct], ref: str) -> Json:
    _, components = msgspec.json.schema_components([cls], ref_template=ref)
    cleaned: dict[str, Json] = {name: _clean(component) for name, component in components.items()}
    schema = cleaned.pop(cls.__name__)
    schema.pop("title")
    if cleaned:
        schema["$defs"] = cleaned
    return schema


def _clean(node: Any) -> Any:
    """Without null: what is absent is not there, in bodies and in events alike. Unknown fields are always allowed."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: _clean(value) for name, value in node.items() if (name, value) != ("additionalProperties", False)}
    if "default" in node and node["default"] is None:
        del node["default"]
    if "anyOf" in node:
        alternatives = [item for item in node["anyOf"] if item != {"type": "null"}]
        node["anyOf"] = alternatives
        if len(alternatives) == 1:
            del node["anyOf"]
            node |= alternatives[0]
    if node.get("required") == []:
        del node["required"]
    if node.get("minimum") == -(2**63):
        del node["minimum"], node["maximum"]
    return node


# -- AsyncAPI ---------------------------------------------------------------------------------------------------------


def asyncapi() -> Json:
    """The topics, as an AsyncAPI 3.0 document."""
    types = _data_types()
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
                "envelope": _envelope("#/components/schemas/{name}"),
                **{name: _payload(name, entry) for name, entry in sorted(types.items())},
            },
        },
    }


def _message(event_type: str, entry: registry.Entry | None) -> Json:
    summary = entry.data.__doc__ if entry else "A callback whose command is not known yet."
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
    "traceparent": {"type": "string", "description": "W3C trace context, if a proxy in front sent one."},
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


# -- OpenAPI ----------------------------------------------------------------------------------------------------------


def openapi() -> Json:
    """The ingress, as an OpenAPI 3.1 document."""
    bodies = {entry.callback.command: _body_schema(entry) for entry in registry.ENTRIES}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "im-bridge ingress",
            "version": version("im-bridge"),
            "description": "Takes the callbacks of Tencent Cloud IM, on any path.",
        },
        "paths": {
            "/": {
                "post": {
                    "operationId": "callback",
                    "summary": "A callback.",
                    "parameters": list(_parameters()),
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in bodies]}
                            }
                        },
                    },
                    "responses": _RESPONSES,
                }
            }
        },
        "webhooks": {"decision": {"post": _decision()}},
        "components": {
            "schemas": {**bodies, "Reply": _REPLY, "Event": _envelope("#/components/schemas/{name}"), **_answer()}
        },
    }


def _decision() -> Json:
    """What an endpoint of BRIDGE_DECISION_URLS has to serve."""
    return {
        "operationId": "decide",
        "summary": "Decide a before-callback.",
        "description": "Anything else than these answers, or none within BRIDGE_DECISION_DEADLINE_MS, is no decision:"
        " BRIDGE_DECISION_ON_FAILURE holds.",
        "requestBody": {
            "required": True,
            "content": {"application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/Event"}}},
        },
        "responses": {
            "200": {
                "description": "Decided; what is missing is completed.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}},
            },
            "204": {"description": "Allowed."},
        },
    }


def _answer() -> dict[str, Json]:
    schema = _schema_of(Answer, "#/components/schemas/Decision{name}")
    parts: dict[str, Json] = schema.pop("$defs", {})
    return {"Decision": schema, **{f"Decision{name}": part for name, part in parts.items()}}


def _body_schema(entry: registry.Entry) -> Json:
    command = entry.callback.command
    schema = _schema_of(entry.body, f"#/components/schemas/{command}/$defs/{{name}}")
    parts = schema.pop("$defs", {})
    schema = {"description": entry.data.__doc__, **schema}
    if entry.callback.batch:
        items = {"type": "array", "items": schema, "minItems": 1}
        schema = {"type": "object", "properties": {entry.callback.batch: items}, "required": [entry.callback.batch]}
    schema["examples"] = [json.loads(body_of(entry))]
    return schema | ({"$defs": parts} if parts else {})


def _parameters() -> Iterator[Json]:
    for name, meaning, required in (
        ("SdkAppid", "The app.", True),
        ("CallbackCommand", "The command, e.g. `C2C.CallbackAfterMsgWithDraw`.", False),
        ("contenttype", "Always JSON.", False),
        ("ClientIP", "Address of the client that caused it.", False),
        ("OptPlatform", "Platform of that client, e.g. `iOS`.", False),
        ("RequestTime", "When it was sent, Unix seconds; required where the app has a token.", False),
        ("Sign", "Hex of SHA-256 over the token and RequestTime; required where the app has a token.", False),
    ):
        yield {"name": name, "in": "query", "required": required, "description": meaning, "schema": {"type": "string"}}


def _response(description: str) -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Reply"}}}
    return {"description": description, "content": content}


_RESPONSES: Json = {
    "200": _response(
        "Kept: as an event, or with `FAIL` as a dead letter. A before-callback is allowed, or as an endpoint decides."
    ),
    "400": _response("The body did not arrive whole."),
    "403": _response("Not authentic, or too old."),
    "405": _response("Not a POST."),
    "408": _response("The body did not arrive in time."),
    "413": _response("The body is too large."),
    "503": _response("It could not be made durable in time."),
}
_REPLY: Json = {
    "description": "As the platform documents it. The old call webhook has `ErrorMessage` instead of the other texts.",
    "type": "object",
    "properties": {
        "ActionStatus": {"type": "string", "enum": ["OK", "FAIL"]},
        "ErrorCode": {"type": "integer"},
        "ErrorInfo": {"type": "string"},
        "ErrorMessage": {"type": "string"},
        **{
            name: {"description": "As an endpoint decided.", "type": kind}
            for name, kind in {
                "MsgBody": "array",
                "CloudCustomData": "string",
                "RefusedMembers_Account": "array",
                "RefusedSubscribers_Account": "array",
            }.items()
        },
        "ResultItem": {
            "description": "A verdict for each account that a before-callback asks about.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "To_Account": {"type": "string"},
                    "ResultCode": {"type": "integer"},
                    "ResultInfo": {"type": "string"},
                },
                "required": ["To_Account", "ResultCode", "ResultInfo"],
            },
        },
    },
    "required": ["ErrorCode"],
}

__all__ = ["asyncapi", "differences", "documents", "openapi", "write"]
