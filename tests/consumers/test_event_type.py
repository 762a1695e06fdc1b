"""The type of a large event is read from its first bytes, and of no other."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from bridge.events import InvalidEventError
from consumers.badges.badge_event import read_badge_event
from consumers.event_type import leading_type
from tests.support.badge_model import RECALLED, badge_event

MEMBERS = [{"account": f"user-{number}"} for number in range(1000)]
GROUP_TYPE = "im.group.members.joined"


def group_event(**attributes: Any) -> dict[str, Any]:
    event = badge_event("a", "@TGS#1", received=1_790_000_000_000)
    return event | {"type": GROUP_TYPE, "data": {"members": MEMBERS}} | attributes


def test_a_large_event_tells_its_type_at_once() -> None:
    assert leading_type(orjson.dumps(group_event())) == GROUP_TYPE


def test_what_is_behind_the_type_of_a_large_event_is_not_looked_at() -> None:
    # So a group of a million members costs no more than one of ten.
    begin = orjson.dumps(group_event())[:3000]
    assert read_badge_event(begin + b"\x00" * 1_000_000) is None


def test_a_large_event_of_a_badge_is_read_whole() -> None:
    event = badge_event("a", "ann", 3, msg_body=MEMBERS)
    assert leading_type(orjson.dumps(event)) == RECALLED
    read = read_badge_event(orjson.dumps(event))
    assert read is not None
    assert read.data.unread_total == 3
    with pytest.raises(InvalidEventError):
        read_badge_event(orjson.dumps(event)[:-1])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(orjson.dumps(group_event(data={})), id="a small event"),
        pytest.param(orjson.dumps(group_event(), option=orjson.OPT_INDENT_2), id="written with spaces"),
        pytest.param(orjson.dumps({"data": MEMBERS} | group_event()), id="the data before the type"),
        pytest.param(orjson.dumps(group_event(id='"type":"im.c2c"')), id="an id with quotation marks"),
        pytest.param(orjson.dumps(group_event()).replace(b"im.group", b"im\\u002egroup"), id="a type with an escape"),
        pytest.param(orjson.dumps([group_event()]), id="no event"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_of_any_other_value_only_a_parser_can_tell(value: bytes) -> None:
    assert leading_type(value) is None


def test_a_type_with_an_escape_is_read_all_the_same() -> None:
    event = badge_event("a", "ann", 3, msg_body=MEMBERS)
    written = orjson.dumps(event).replace(b"im.c2c", b"im\\u002ec2c")
    assert msgspec.json.decode(written) == event
    assert read_badge_event(written) is not None


@pytest.mark.parametrize("field", ["time", "receivedtime"])
@pytest.mark.parametrize("time", ["2026-09-21T14:13:20.123", "yesterday", 7])
def test_a_time_without_a_zone_makes_no_event(field: str, time: object) -> None:
    with pytest.raises(InvalidEventError):
        read_badge_event(orjson.dumps(badge_event("a", "ann", 3) | {field: time}))
