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
from pathlib import Path

from bridge.contract import reference
from bridge.contract.asyncapi import asyncapi
from bridge.contract.family_page import WRITTEN
from bridge.contract.json_schema import Json, data_schema, event_schema
from bridge.contract.openapi import openapi
from bridge.events import UNKNOWN_TYPE, registry
from bridge.events.base import SCHEMA_BASE

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, str]:
    """Every file under `schemas/`, by its path there."""
    found: dict[str, Json] = {}
    types = _entries_by_type()
    for event_type, entry in sorted(types.items()):
        identity = {"$schema": DIALECT, "$id": f"{SCHEMA_BASE}{event_type}.json"}
        found[f"{event_type}.json"] = identity | data_schema(event_type, entry, "#/$defs/{name}")
        identity = {"$schema": DIALECT, "$id": f"{SCHEMA_BASE}events/{event_type}.json"}
        found[f"events/{event_type}.json"] = identity | event_schema(event_type, entry, "#/$defs/{name}")
    found["asyncapi.json"] = asyncapi(types)
    found["openapi.json"] = openapi()
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in found.items()}


def differences(folder: Path, docs: Path) -> list[Path]:
    """The files that are not what `write` would write: missing, different, or of a type or a family that is gone."""
    expected = _expected(folder, docs)
    stale = [path for path, text in expected.items() if not path.is_file() or path.read_text("utf-8") != text]
    return sorted([*stale, *(path for path in _written_before(folder, docs) if path not in expected)])


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
    """Every file. `docs` is the index of the reference; its pages are in the folder of its name."""
    pages = {docs.parent / name: text for name, text in reference.pages(docs.stem).items()}
    return {folder / name: text for name, text in documents().items()} | pages


def _written_before(folder: Path, docs: Path) -> Iterator[Path]:
    """What lies there and is named or marked as ours; anything else may be somebody's own."""
    for path in folder.rglob("im.*.json"):
        yield path
    for path in docs.with_suffix("").glob("*.md"):
        if WRITTEN in path.read_text("utf-8", errors="replace"):
            yield path


def _entries_by_type() -> dict[str, registry.Entry | None]:
    return {entry.callback.type: entry for entry in registry.ENTRIES} | {UNKNOWN_TYPE: None}
