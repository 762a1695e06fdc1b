"""A record in one line: what people see of it, and what programs read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from bridge.commands.tail_filter import RecordFilter
from bridge.commands.tail_screen import KeptLine
from bridge.contract.record_line import content_of, describe_record, json_line, key_of, names_in
from common.kafka.record_time import record_time

EVENT = {
    "specversion": "1.0",
    "type": "im.c2c.message.recalled",
    "subject": "Ann",
    "time": "2022-12-09T08:26:54.123Z",
    "data": {"unread_total": 7, "absent": None, "text": "two words"},
}


def record(
    value: bytes | None,
    *headers: tuple[str, bytes | None],
    key: bytes | None = b"key",
    time_ms: int = 1_670_574_414_000,
) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("topic", 0, 17, time_ms, 0, key, value, None, 3, 5, headers)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (record(orjson.dumps(EVENT)), 'im.c2c.message.recalled Ann unread_total=7 text="two words"'),
        (
            record(b'{"unread":null,"account":"Ann","app_id":"1","stale":true}'),
            'badge Ann unread="not known" stale=true app_id=1',
        ),
        (record(b"{", ("reason", b"not_json")), "dead letter key reason=not_json body={"),
        (
            record(orjson.dumps({"id": "e1", "subject": "Ann"}), ("reason", b"poison")),
            "dead letter Ann reason=poison event=e1",
        ),
        (record(b"{", ("reason", None), ("detail", None)), "dead letter key body={"),
        (record(None), "record key value=deleted"),
        (record(b"x" * 300, key=None), f"record value={'x' * 199}…"),
    ],
)
def test_each_kind_of_record_is_described(shown: ConsumerRecord[Any, Any], expected: str) -> None:
    assert " ".join(describe_record(shown).plain.split()).endswith(expected)


def test_the_time_is_that_of_the_event_else_of_the_record_with_the_date_where_that_is_not_today() -> None:
    assert re.match(r"2022-12-09 \d\d:26:54 ", describe_record(record(orjson.dumps(EVENT))).plain)
    assert re.match(r"2022-12-09 \d\d:26:54 ", describe_record(record(b"x")).plain)
    today = datetime.now().astimezone().isoformat()
    assert re.match(r"\d\d:\d\d:\d\d  im", describe_record(record(orjson.dumps({**EVENT, "time": today}))).plain)
    assert describe_record(record(orjson.dumps({**EVENT, "time": "soon"}))).plain.startswith("--:--:-- ")


@pytest.mark.parametrize("time_ms", [-1, 2**62])
def test_a_record_without_a_time_that_there_can_be_is_told_without_one(time_ms: int) -> None:
    shown = record(b"x", time_ms=time_ms)
    assert record_time(shown) == ""
    assert describe_record(shown).plain.startswith("--:--:-- ")
    assert "offset 17, no time" in KeptLine(shown).whole()


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_the_calendar_is_told_without_one(time: str) -> None:
    assert describe_record(record(orjson.dumps({**EVENT, "time": time}))).plain.startswith("--:--:-- ")


def test_what_a_terminal_would_obey_is_escaped() -> None:
    value = orjson.dumps({**EVENT, "subject": "\x1b[31m", "data": {"\x1b]0;": "\u202e"}})
    assert describe_record(record(value)).plain.isprintable()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, "null"),
        (b'{"a": 1}', '{"a": 1}'),
        (b'{"a": 1}\r\n', '{"a": 1}'),
        (b'{\r\n"a": 1,\n\n"b":123456789012345678901234567890}', '{ "a": 1, "b":123456789012345678901234567890}'),
    ],
)
def test_for_programs_a_value_that_is_json_is_one_line_and_otherwise_as_it_is(value: bytes | None, line: str) -> None:
    assert json_line(record(value)) == line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"two\nlines", {"value": "two\nlines"}),
        (b"", {"value": ""}),
        (b'{"a": "\xff"}', {"value_base64": "eyJhIjogIv8ifQ=="}),
        (b"NaN", {"value": "NaN"}),
        (b"\x1b]0;owned\x07", {"value": "\x1b]0;owned\x07"}),
    ],
)
def test_for_programs_a_value_that_is_no_json_is_shown_with_its_record(value: bytes, shown: dict[str, str]) -> None:
    line = json_line(record(value, ("reason", b"not_json"), ("detail", b"\xff"), ("empty", None)))
    headers: dict[str, str | None] = {"reason": "not_json", "detail": "\ufffd", "empty": None}
    assert orjson.loads(line) == {"partition": 0, "offset": 17, "key": "key", "headers": headers} | shown
    assert len(line.splitlines()) == 1


def test_what_is_no_json_object_has_no_content_and_a_key_is_text_in_any_case() -> None:
    assert [content_of(record(value)) for value in (None, b"", b"{", b"[1]", b'{"a":1}')] == [{}, {}, {}, {}, {"a": 1}]
    assert [key_of(record(b"", key=key)) for key in (None, b"k", b"\xff")] == ["", "k", "\ufffd"]


@pytest.mark.parametrize(
    "data",
    [
        {"from_account": "bob"},
        {"member_list": [{"member_account": "bob"}]},
        {"To_Account": ["ann", "bob"]},
        {"del_account_list": ["bob"]},
        {"info": {"UserId": "bob"}},
        {"group_id": "bob"},
    ],
    ids=repr,
)
def test_whoever_takes_part_is_named_also_in_lists_and_by_user_ids(data: dict[str, Any]) -> None:
    found = record(orjson.dumps({"specversion": "1.0", "subject": "ann", "data": data}), key=b"ann")
    assert {"ann", "bob"} <= names_in(found, content_of(found))
    assert RecordFilter(account="bob").admits(found)
    assert not RecordFilter(account="bo").admits(found)
