"""JSON Schemas of the events and their data, from the classes in `bridge.events`."""

from __future__ import annotations

from typing import Any

import msgspec

from bridge.contract.wording import what_happened
from bridge.events import Event, registry

TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"

Json = dict[str, Any]


def data_schema(event_type: str, entry: registry.Entry | None, ref: str) -> Json:
    """The schema of the data of an event type, its parts under `$defs`. `ref` is how they are referred to."""
    if entry is None:
        return {"title": event_type, "description": "The body as the platform sent it.", "type": "object"}
    return {"title": event_type, **schema_of(entry.data, ref), "description": what_happened(entry.data)}


def event_schema(event_type: str, entry: registry.Entry | None, ref: str) -> Json:
    """The schema of a whole event: the envelope around the data."""
    data = data_schema(event_type, entry, ref)
    parts = data.pop("$defs", {})
    envelope = envelope_schema(ref)
    envelope["properties"]["type"]["const"] = event_type
    envelope["properties"]["data"] = {"$ref": ref.format(name="data")}
    head = {"title": event_type, "description": data["description"]}
    return envelope | head | {"$defs": {"data": data, **parts}}


def envelope_schema(ref: str) -> Json:
    """The schema of what all events have in common."""
    schema = schema_of(Event, ref)
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


def schema_of(cls: type[msgspec.Struct], ref: str) -> Json:
    """The schema of a class.

    Args:
        cls: the class. Its docstring and those of its fields' annotations become descriptions.
        ref: how a part is referred to, e.g. `#/$defs/{name}`.

    Returns:
        The schema without a title, the classes of its fields under `$defs`, if there are any.
    """
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
