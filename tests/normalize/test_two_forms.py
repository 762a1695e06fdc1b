"""Where the platform's documentation prints a value in two forms, either is read in one go, and neither is drift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bridge.contract.examples import EVENT_TIME_MS, made_body
from bridge.events import registry
from bridge.events.introspection import Field, fields_of, is_part, item_type
from bridge.normalize import lenient
from tests.support.callbacks import SENT, sample
from tests.support.events import Noted, json_of, normalizer, received

GREAT = 144_115_212_830_834_855
"""An account of the platform's samples: no double holds it."""


@pytest.fixture
def strictly(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """From now on no body is read field by field. Remembers what differs."""

    def read(*_arguments: Any) -> None:
        raise AssertionError("read field by field")

    monkeypatch.setattr(lenient, "read", read)
    return Noted()


def _events(command: str, body: dict[str, Any], drift: Noted) -> list[dict[str, Any]]:
    """Its events, of a known time; without their ids where every callback counts as a new event."""
    entry = registry.find(command)
    is_weak = entry is None or not entry.callback.exact
    given = body if entry is not None and entry.callback.batch else {"EventTime": EVENT_TIME_MS, **body}
    records = normalizer(drift=drift).event(received(command, given))
    weak = {"id": ""} if is_weak else {}
    return [orjson.loads(record.value) | weak for record in records]


def _with(value: Any, fields: tuple[Field, ...], form: Callable[[Field, Any], Any]) -> Any:
    """The body with each value of its fields replaced."""
    if isinstance(value, list):
        return [_with(item, fields, form) for item in value]
    made = dict(value)
    for field in fields:
        inner = item_type(field.type) or field.type
        if field.tencent in made:
            given = made[field.tencent]
            made[field.tencent] = _with(given, fields_of(inner), form) if is_part(inner) else form(field, given)
    return made


def _body(entry: registry.Entry, form: Callable[[Field, Any], Any]) -> dict[str, Any]:
    body = orjson.loads(made_body(entry))
    if "event_time" in entry.callback.identity:
        body["EventTime"] = EVENT_TIME_MS
    if entry.callback.batch:
        return {entry.callback.batch: _with(body[entry.callback.batch], entry.fields, form)}
    made = _with(body, entry.fields, form)
    assert isinstance(made, dict)
    return made


def _accounts(value: Any) -> Callable[[Field, Any], Any]:
    def form(field: Field, given: Any) -> Any:
        if not (field.has_two_forms and (item_type(field.type) or field.type) is str):
            return given
        return [value] if isinstance(given, list) else value

    return form


@pytest.mark.parametrize("number", [0, GREAT, 2**63 - 1])
@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_an_account_that_is_a_number_is_read_in_one_go_as_its_digits(
    entry: registry.Entry, number: int, request: pytest.FixtureRequest
) -> None:
    # What holds long numbers and is passed on verbatim is read field by field, lest a reader spoils them.
    drift = Noted() if entry.is_verbatim and number > GREAT else request.getfixturevalue("strictly")
    command = entry.callback.command
    assert _events(command, _body(entry, _accounts(number)), drift) == _events(
        command, _body(entry, _accounts(str(number))), drift
    )
    assert drift.items == []


def test_every_field_of_an_account_a_room_or_a_call_may_be_a_number() -> None:
    def names(fields: tuple[Field, ...]) -> set[str]:
        found = set()
        for field in fields:
            inner = item_type(field.type) or field.type
            found |= names(fields_of(inner)) if is_part(inner) else {field.tencent} if field.has_two_forms else set()
        return found

    found = set().union(*(names(entry.fields) for entry in registry.ENTRIES))
    assert {"From_Account", "To_Account", "Member_Account", "Admin_Account", "CalleeList_Account"} <= found
    assert {"RoomId", "FromRoomId", "ToRoomIdList", "UserId", "CallId"} <= found
    assert not {"GroupId", "MsgKey", "TopicId", "Name", "TaskId", "MsgSeq"} & found


@pytest.mark.parametrize("number", [GREAT, 2**64 - 1])
def test_an_account_that_is_a_number_is_no_drift_where_something_else_is(number: int) -> None:
    drift = Noted()
    body = sample(f"{SENT}.v3").json | {"From_Account": number, "New": 1}
    data = json_of(SENT, body, drift=drift)["data"]
    assert data["from_account"] == str(number)
    assert drift.items == [("unknown_field", SENT, "New")]


def test_a_number_beyond_every_reader_is_an_account_by_its_digits() -> None:
    body = sample(f"{SENT}.v3").body.replace(b'"user:42"', b"9" * 40)
    event = json_of(SENT, body)
    assert event["data"]["from_account"] == "9" * 40
    assert event["repaired"] is True


@pytest.mark.parametrize("written", [1.5, True, {"a": 1}, [5]])
def test_what_is_no_account_in_any_form_is_passed_on(written: Any) -> None:
    body = sample(f"{SENT}.v3").json | {"From_Account": written}
    assert json_of(SENT, body)["data"]["unknown"] == {"From_Account": written}


@pytest.mark.parametrize(("written", "means"), [("true", True), ("false", False), (1, True)])
@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_a_flag_is_read_in_one_go_in_each_documented_form(
    entry: registry.Entry, written: Any, means: bool, strictly: Noted
) -> None:
    def flags(value: Any) -> Callable[[Field, Any], Any]:
        return lambda field, given: value if field.type is bool else given

    command = entry.callback.command
    assert _events(command, _body(entry, flags(written)), strictly) == _events(
        command, _body(entry, flags(means)), strictly
    )
    assert strictly.items == []


@pytest.mark.parametrize("written", ["true", "false"])
def test_a_flag_as_text_is_no_drift_where_something_else_is(written: str) -> None:
    drift = Noted()
    body = sample(f"{SENT}.v3").json | {"OnlineOnlyFlag": written, "New": 1}
    assert json_of(SENT, body, drift=drift)["data"]["online_only"] is (written == "true")
    assert drift.items == [("unknown_field", SENT, "New")]


@pytest.mark.parametrize("written", ["1", "0"])
def test_a_flag_in_a_form_that_nobody_documents_is_read_and_is_drift(written: str) -> None:
    drift = Noted()
    body = sample(f"{SENT}.v3").json | {"OnlineOnlyFlag": written}
    assert json_of(SENT, body, drift=drift)["data"]["online_only"] is (written == "1")
    assert drift.items == [("type", SENT, "OnlineOnlyFlag")]


def test_a_count_that_the_tables_call_text_is_read_in_one_go(strictly: Noted) -> None:
    command = "Live.CallbackAfterCreateRoomReachingThreshold"
    body = sample(f"{command}.v1").json | {"CurRoomCount": "400", "MaxRoomCount": "500"}
    data = json_of(command, body, drift=strictly)["data"]
    assert (data["room_count"], data["max_room_count"]) == (400, 500)
    assert strictly.items == []


def test_a_text_that_one_table_calls_a_list_and_another_a_text_is_a_list() -> None:
    drift = Noted()
    body = sample("ContentCallback.ResultNotify.v3").json | {"TextContent": "hello"}
    assert json_of("ContentCallback.ResultNotify", body, drift=drift)["data"]["text_content"] == ["hello"]
    assert drift.items == []


def test_members_of_a_large_list_may_be_numbers_beside_something_new() -> None:
    members = [{"Member_Account": GREAT + number} for number in range(150)]
    drift = Noted()
    body = {"RoomId": "r", "EventType": "Online", "EventCause": "Enter", "MemberList": members, "New": 1}
    data = json_of("Live.CallbackMemberStateChanged", body, drift=drift)["data"]
    assert data["member_list"][149] == {"member_account": str(GREAT + 149)}
    assert drift.items == [("unknown_field", "Live.CallbackMemberStateChanged", "New")]
