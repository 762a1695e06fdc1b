"""The ingress, and the endpoints that decide before-callbacks, as an OpenAPI 3.1 document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version

from bridge.contract.examples import body_of
from bridge.contract.json_schema import Json, envelope_schema, schema_of
from bridge.contract.wording import what_happened
from bridge.events import registry
from bridge.ingress.endpoint_answer import Answer


def openapi() -> Json:
    """The document."""
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
            "schemas": {**bodies, "Reply": _REPLY, "Event": envelope_schema("#/components/schemas/{name}"), **_answer()}
        },
    }


def _decision() -> Json:
    """What an endpoint of BRIDGE_DECISION_URLS has to serve."""
    return {
        "operationId": "decide",
        "summary": "Decide a callback that awaits an answer.",
        "description": "Anything else than these answers, or none within BRIDGE_DECISION_DEADLINE_MS, is no decision:"
        " BRIDGE_DECISION_ON_FAILURE holds, and a signal to a chatbot gets no data.",
        "requestBody": {
            "required": True,
            "content": {"application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/Event"}}},
        },
        "responses": {
            "200": {
                "description": "Decided; what is missing is completed.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}},
            },
            "204": {"description": "Allowed; of a signal to a chatbot: there are no data for it."},
        },
    }


def _answer() -> dict[str, Json]:
    schema = schema_of(Answer, "#/components/schemas/Decision{name}")
    parts: dict[str, Json] = schema.pop("$defs", {})
    return {"Decision": schema, **{f"Decision{name}": part for name, part in parts.items()}}


def _body_schema(entry: registry.Entry) -> Json:
    command = entry.callback.command
    schema = schema_of(entry.body, f"#/components/schemas/{command}/$defs/{{name}}")
    parts = schema.pop("$defs", {})
    schema = {"description": what_happened(entry.data), **schema}
    if entry.callback.batch:
        items = {"type": "array", "items": schema, "minItems": 1}
        schema = {"type": "object", "properties": {entry.callback.batch: items}, "required": [entry.callback.batch]}
    schema["examples"] = [json.loads(body_of(entry))]
    return schema | ({"$defs": parts} if parts else {})


def _parameters() -> Iterator[Json]:
    for name, meaning, required in (
        ("SdkAppid", "The app.", True),
        ("CallbackCommand", "The command, e.g. `C2C.CallbackAfterMsgWithDraw`.", False),
        ("command", "The same of the old webhooks of calls and rooms, e.g. `call_end`.", False),
        ("contenttype", "`json`.", False),
        ("ClientIP", "Address of the client that caused it.", False),
        ("OptPlatform", "Platform of that client, e.g. `iOS`.", False),
        ("RequestTime", "When it was sent, Unix seconds; required where the app has a token.", False),
        (
            "Sign",
            "Hex of SHA-256 over the token and RequestTime, and nothing else; required where the app has a token.",
            False,
        ),
    ):
        yield {"name": name, "in": "query", "required": required, "description": meaning, "schema": {"type": "string"}}


def _response(description: str) -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Reply"}}}
    return {"description": description, "content": content}


_RESPONSES: Json = {
    "200": _response(
        "Kept: as an event, or as a dead letter. A before-callback is allowed, or as an endpoint decides, also where it"
        " could not be kept; a signal to a chatbot gets code 1, or as an endpoint decides."
    ),
    "400": _response("It is no HTTP, or the body did not arrive whole."),
    "403": _response("Not authentic, or too old."),
    "405": _response("Not a POST."),
    "408": _response("Head or body did not arrive in time."),
    "411": _response("It has no body."),
    "413": _response("The body is too large."),
    "415": _response("The body is compressed, and not with gzip or deflate."),
    "417": _response("It expects more than `100-continue`."),
    "431": _response("The head is too large."),
    "501": _response("The body is transferred in another way than in chunks."),
    "503": _response("It could not be made durable in time, or there is no room for it."),
    "505": _response("It is not HTTP/1.1 or 1.0."),
}
_REPLY: Json = {
    "description": "As the platform documents it. The old webhooks have `ErrorMessage` instead of the other texts.",
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
                "RspData": "string",
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
