"""The committed contract is what the code has, is valid, and accepts every event."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import typer
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from typer.testing import CliRunner

from bridge.commands.schemas import schemas as command
from bridge.contract import reference, schemas
from bridge.contract.examples import body_of, events_of
from bridge.events import DATA_TYPES, UNKNOWN_TYPE, registry
from bridge.ingress import refusals
from tests.support.callbacks import samples
from tests.support.paths import ROOT

TYPES = sorted([*(entry.callback.type for entry in registry.ENTRIES), UNKNOWN_TYPE])


@cache
def documents() -> dict[str, Any]:
    return {name: orjson.loads(text) for name, text in schemas.documents().items()}


def run(*arguments: str | Path) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_what_is_committed_is_what_the_code_has() -> None:
    assert schemas.differences(ROOT / "schemas", ROOT / "docs" / "events.md") == [], "run `bridge schemas`"


def test_each_class_that_the_reference_names_can_be_imported_under_that_name() -> None:
    named = re.findall(r"^\| class \| `(.+)\.(\w+)` \|$", reference.document(), re.MULTILINE)
    found = [getattr(importlib.import_module(module), name) for module, name in named]
    assert set(found) == set(DATA_TYPES.values())


def test_the_reference_has_the_reason_of_each_dead_letter() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "bridge" / "normalize").glob("*.py"))
    reasons = set(re.findall(r'(?:UnreadableError|Excess)\(\s*"(\w+)"', sources)) | {refusals.STALE_TIME.reason}
    assert {"not_json", "too_deep", "too_many_values", "too_large"} <= reasons
    table = reference.DEAD_LETTERS.partition("| --- | --- |")[2]
    assert set(re.findall(r"`([a-z_]+)`", " ".join(line.split(" | ")[0] for line in table.splitlines()))) == reasons


def test_a_stale_a_missing_and_a_left_over_file_are_found_and_put_right(tmp_path: Path) -> None:
    folder, docs = tmp_path / "schemas", tmp_path / "docs" / "events.md"
    options = ("--dir", folder, "--docs", docs)
    assert run(*options, "--check").exit_code == 1
    assert run(*options).exit_code == 0
    assert run(*options, "--check").exit_code == 0
    (folder / "im.gone.thing.done.json").write_text("{}")
    (folder / "asyncapi.json").write_text("{}")
    docs.unlink()
    result = run(*options, "--check")
    assert result.exit_code == 1
    for name in ("im.gone.thing.done.json", "asyncapi.json", "events.md"):
        assert name in result.output
    assert run(*options).exit_code == 0
    assert run(*options, "--check").exit_code == 0
    assert not (folder / "im.gone.thing.done.json").exists()


@pytest.mark.parametrize("event_type", TYPES)
def test_both_schemas_of_a_type_are_valid_json_schema(event_type: str) -> None:
    for name in (f"{event_type}.json", f"events/{event_type}.json"):
        document = documents()[name]
        jsonschema.Draft202012Validator.check_schema(document)
        assert document["$id"] == f"urn:im-bridge:schemas/{name}"
        assert document["description"]


@pytest.mark.parametrize(
    ("command", "body"),
    [(callback.command, callback.body) for callback in samples().values()]
    + [(entry.callback.command, body_of(entry)) for entry in registry.ENTRIES]
    + [("New.Thing", b'{"a":1}')],
)
def test_every_event_fits_its_schemas(command: str, body: bytes) -> None:
    values = events_of(command, body)
    assert values
    for value in values:
        event = orjson.loads(value)
        jsonschema.validate(event, documents()[f"events/{event['type']}.json"], jsonschema.Draft202012Validator)
        jsonschema.validate(event["data"], documents()[f"{event['type']}.json"], jsonschema.Draft202012Validator)
        assert event["dataschema"] == f"urn:im-bridge:schemas/{event['type']}.json"


def test_a_schema_refuses_what_is_wrong() -> None:
    (value,) = events_of("C2C.CallbackAfterMsgWithDraw", b'{"To_Account":"a","UnreadMsgNum":7}')
    event = orjson.loads(value)
    validator = jsonschema.Draft202012Validator(documents()["events/im.c2c.message.recalled.json"])
    for wrong in (
        {"type": "im.c2c.message.sent"},
        {"subject": ""},
        {"time": "2022-12-09 08:26:54"},
        {"data": {"unread_total": "7"}},
        {"specversion": "0.3"},
    ):
        assert not validator.is_valid(event | wrong)
    assert validator.is_valid(event | {"data": event["data"] | {"added_later": 1}})


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for value in node for found in _references(value)] if isinstance(node, list) else []


def _leads_somewhere(document: Any, path: str) -> bool:
    node = document
    for part in path.removeprefix("#/").split("/"):
        if part not in node:
            return False
        node = node[part]
    return True


@pytest.mark.parametrize("name", ["asyncapi.json", "openapi.json"])
def test_every_reference_of_a_document_leads_somewhere(name: str) -> None:
    document = documents()[name]
    references = set(_references(document))
    assert len(references) > 50
    assert [path for path in references if not _leads_somewhere(document, path)] == []


def test_the_asyncapi_document_describes_every_type_on_its_topic() -> None:
    document = documents()["asyncapi.json"]
    assert document["asyncapi"] == "3.0.0"
    assert {channel["address"] for channel in document["channels"].values()} == {
        "im.events",
        "im.events.dlq",
        "im.badges",
    }
    assert sorted(document["channels"]["events"]["messages"]) == TYPES
    for operation in document["operations"].values():
        assert operation["action"] == "send"
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
    for event_type in TYPES:
        message = document["components"]["messages"][event_type]
        assert message["payload"] == {"$ref": f"#/components/schemas/{event_type}"}
        assert message["contentType"] == "application/cloudevents+json"


@pytest.mark.parametrize("command", ["C2C.CallbackAfterMsgWithDraw", "State.StateChange", "Push.OfflinePush"])
def test_the_payload_in_the_asyncapi_document_fits_events(command: str) -> None:
    entry = registry.find(command)
    assert entry is not None
    resource = DRAFT202012.create_resource(documents()["asyncapi.json"])
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"urn:asyncapi#/components/schemas/{entry.callback.type}"},
        registry=Registry().with_resource("urn:asyncapi", resource),
    )
    values = events_of(command, body_of(entry))
    assert values
    for value in values:
        event = orjson.loads(value)
        validator.validate(event)
        assert not validator.is_valid(event | {"type": "im.other"})


def test_the_openapi_document_describes_every_command() -> None:
    document = documents()["openapi.json"]
    assert document["openapi"] == "3.1.0"
    operation = document["paths"]["/"]["post"]
    assert {parameter["name"] for parameter in operation["parameters"]} >= {"SdkAppid", "Sign", "RequestTime"}
    commands = {entry.callback.command for entry in registry.ENTRIES}
    assert commands <= document["components"]["schemas"].keys()
    assert len(operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]) == len(commands)
    assert {"200", "403", "503"} <= operation["responses"].keys()


def test_every_documented_body_fits_the_openapi_document() -> None:
    resource = DRAFT202012.create_resource(documents()["openapi.json"])
    known = Registry().with_resource("urn:openapi", resource)
    callbacks = samples().values()
    assert len(callbacks) > 50
    for callback in callbacks:
        schema = {"$ref": f"urn:openapi#/components/schemas/{callback.command}"}
        jsonschema.Draft202012Validator(schema, registry=known).validate(callback.json)


def test_a_developer_finds_every_command_type_and_field_in_the_reference() -> None:
    page = reference.document()
    headings = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    assert len(registry.ENTRIES) > 70
    for entry in registry.ENTRIES:
        assert f"| `{entry.callback.command}` | [`{entry.callback.type}`](#" in page
        assert entry.callback.type in headings
        section = page.split(f"\n## {entry.callback.type}\n")[1].split("\n## ")[0]
        assert "```json" in section
        for field in entry.fields:
            assert f"`{field.tencent}`" in section
            assert f"`{field.name}`" in section
