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
    named = re.findall(r"^\| class \| `(.+)\.(\w+)` \|$", "".join(reference.pages().values()), re.MULTILINE)
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
    assert run(*options).exit_code == 0
    assert run(*options, "--check").exit_code == 0
    left_over = [folder / "im.gone.thing.done.json", folder / "events" / "im.gone.thing.done.json"]
    for path in left_over:
        path.write_text("{}")
    page_of_a_family_that_is_gone = docs.parent / "events" / "gone.md"
    page_of_a_family_that_is_gone.write_text((docs.parent / "events" / "c2c.md").read_text())
    (folder / "asyncapi.json").write_text("{}")
    (docs.parent / "events" / "push.md").write_text("# Push\n")
    docs.unlink()
    result = run(*options, "--check")
    assert result.exit_code == 1
    named = {line.removeprefix("stale: ") for line in result.output.splitlines()}
    missing_or_other = [folder / "asyncapi.json", docs.parent / "events" / "push.md", docs]
    assert named == {str(path) for path in [*left_over, page_of_a_family_that_is_gone, *missing_or_other]}
    assert run(*options).exit_code == 0
    assert run(*options, "--check").exit_code == 0
    assert not any(path.exists() for path in [*left_over, page_of_a_family_that_is_gone])


def test_files_beside_ours_are_left_alone(tmp_path: Path) -> None:
    folder, docs = tmp_path / "schemas", tmp_path / "docs" / "events.md"
    others = [folder / "orders.json", tmp_path / "docs" / "events" / "of-the-year.md"]
    for path in others:
        path.parent.mkdir(parents=True)
        path.write_text("# ours")
    assert run("--dir", folder, "--docs", docs).exit_code == 0
    assert run("--dir", folder, "--docs", docs, "--check").exit_code == 0
    assert [path.read_text() for path in others] == ["# ours", "# ours"]


def test_a_check_where_there_is_nothing_to_check_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--check")
    assert result.exit_code == 2
    assert "schemas/" in result.stderr
    assert "--dir" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "schemas").write_text("a file")
    result = run("--dir", tmp_path / "schemas", "--docs", tmp_path / "docs" / "events.md")
    assert result.exit_code == 2
    assert str(tmp_path / "schemas") in result.stderr


def test_the_reference_has_a_page_for_each_family() -> None:
    families = {entry.callback.type.split(".")[1] for entry in registry.ENTRIES}
    assert families == reference.FAMILIES.keys()
    assert reference.pages().keys() == {"events.md", *(f"events/{family}.md" for family in families)}


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
    pages = reference.pages()
    assert len(registry.ENTRIES) > 70
    for entry in registry.ENTRIES:
        callback = entry.callback
        path = f"events/{callback.type.split('.')[1]}.md"
        link = callback.type.replace(".", "")
        assert f"| [`{callback.command}`]({path}#{link}) | " in pages["events.md"]
        assert f"| [`{callback.type}`](#{link}) | `{callback.command}` |" in pages[path]
        section = pages[path].split(f"\n## {callback.type}\n")[1].split("\n## ")[0]
        assert "```json" in section
        for field in entry.fields:
            assert f"`{field.tencent}`" in section
            assert f"`{field.name}`" in section


def section_of(entry: registry.Entry) -> str:
    page = reference.pages()[f"events/{entry.callback.type.split('.')[1]}.md"]
    return page.split(f"\n## {entry.callback.type}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_the_reference_has_each_documented_code_of_an_answer_and_what_becomes_of_none(entry: registry.Entry) -> None:
    callback, section = entry.callback, section_of(entry)
    answers = callback.answers
    rows = re.findall(r"^\| `(ErrorCode|ResultCode)` \| (\d+)(?: to (\d+))? \|", section, re.MULTILINE)
    named = [(field, int(first), int(last or first)) for field, first, last in rows]
    documented = [("ErrorCode", code.first, code.last) for code in answers.codes]
    documented += [("ResultCode", code.first, code.last) for code in answers.item_codes]
    assert named == documented
    assert ("\n| no answer | " in section) is callback.awaits_answer
    assert bool(documented) is callback.awaits_answer


def test_the_reference_says_that_a_gift_is_blocked_where_nobody_answers() -> None:
    blocked = [entry.callback.command for entry in registry.ENTRIES if "**blocked**" in section_of(entry)]
    assert blocked == ["Live.CallbackBeforeSendGift"]


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_the_reference_says_of_what_an_identity_is_made_and_what_makes_it_weak(entry: registry.Entry) -> None:
    section = section_of(entry)
    identity = section.partition("\n| identity | ")[2].partition("\n")[0]
    weak = section.partition("\n| weak | ")[2].partition("\n")[0]
    if not entry.exactness.identities:
        assert (identity, weak) == ("weak, always |", "")
    for field in (field for fields in entry.exactness.identities for field in fields):
        for name in field.platform_names:
            assert f"`{name}`" in identity
            assert field.is_optional or f"`{name}`" in weak
        assert "in seconds" in weak or not field.needs_ms
    assert f"| {entry.exactness.label} |" in reference.pages()["events.md"]
