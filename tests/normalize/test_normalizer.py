"""Callbacks become events: the envelope, and every quirk of the protocol."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from bridge.events import UNKNOWN_TYPE
from bridge.normalize.repair import UnreadableError
from common.timestamps import rfc3339
from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import NOON_NS, Noted, checked_event, event_of, json_of, normalizer, received, records_of

NOON_MS = rfc3339(NOON_NS // 1_000_000)


def test_the_event_of_the_recall_is_the_documented_one() -> None:
    assert json_of(RECALLED, sample(f"{RECALLED}.v1").body) | {"id": ""} == {
        "specversion": "1.0",
        "id": "",
        "source": "/tencent-im/1400000000",
        "type": "im.c2c.message.recalled",
        "subject": "13800001111",
        "time": NOON_MS,
        "datacontenttype": "application/json",
        "dataschema": "urn:im-bridge:schemas/im.c2c.message.recalled.json",
        "callbackcommand": RECALLED,
        "receivedtime": NOON_MS,
        "platform": "ios",
        "clientip": "203.0.113.7",
        "data": {
            "from_account": "user:42",
            "to_account": "13800001111",
            "msg_key": "992690_2696768249_1765402240",
            "unread_total": 14,
        },
    }


def test_the_key_is_the_subject() -> None:
    (record,) = records_of("State.StateChange", sample("State.StateChange.v1").body)
    assert record.key == b"u-20931"
    assert record.headers == [("content-type", b"application/cloudevents+json")]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (1_670_574_414_123, "2022-12-09T08:26:54.123Z"),
        ("1670574414123", "2022-12-09T08:26:54.123Z"),
        (1_670_574_414, "2022-12-09T08:26:54.000Z"),
        ("1670574414", "2022-12-09T08:26:54.000Z"),
        (1_670_574_414_123.0, "2022-12-09T08:26:54.123Z"),
        (1_670_574_414.0, "2022-12-09T08:26:54.000Z"),
        ("1670574414123.0", "2022-12-09T08:26:54.123Z"),
        ("1670574414.0", "2022-12-09T08:26:54.000Z"),
        ("1.670574414123e12", "2022-12-09T08:26:54.123Z"),
    ],
)
def test_event_time_is_read_as_number_or_text_in_milliseconds_or_seconds(given: Any, written: str) -> None:
    event = json_of(RECALLED, {"To_Account": "a", "EventTime": given})
    assert event["time"] == written
    assert "unknown" not in event["data"]


@pytest.mark.parametrize("given", [0, -1, "soon", 10**17, 1.5, True, [], "\uff19" * 10, 1e300, 0.0, "1e99", "-7"])
def test_an_event_time_that_is_none_counts_as_absent_and_is_passed_on(given: Any) -> None:
    event = json_of(RECALLED, {"To_Account": "a", "EventTime": given})
    assert event["time"] == event["receivedtime"] == NOON_MS
    assert event["data"]["unknown"] == {"EventTime": given}


def test_a_command_only_in_the_url_is_enough() -> None:
    event = json_of("ContentCallback.ResultNotify", sample("ContentCallback.ResultNotify.v1").body)
    assert event["type"] == "im.content.review.completed"
    assert "bodycommand" not in event


def test_a_command_only_in_the_body_is_enough() -> None:
    (record,) = normalizer().event(received("", sample(f"{RECALLED}.v1").body, CallbackCommand=None))
    assert orjson.loads(record.value)["type"] == "im.c2c.message.recalled"


@pytest.mark.parametrize("command", ["bot.onc2cmessage", "Bot.OnC2cMessage"])
def test_a_command_in_another_case_is_the_same_command(command: str) -> None:
    body = sample("Bot.OnC2CMessage").json | {"CallbackCommand": command}
    event = json_of(command, body)
    assert event["callbackcommand"] == "Bot.OnC2CMessage"
    assert "bodycommand" not in event


def test_where_url_and_body_disagree_the_url_counts_and_both_are_recorded() -> None:
    event = json_of(RECALLED, {"CallbackCommand": SENT, "To_Account": "a"})
    assert (event["type"], event["callbackcommand"], event["bodycommand"]) == (
        "im.c2c.message.recalled",
        RECALLED,
        SENT,
    )
    body = sample(f"{RECALLED}.v1").json | {"CallbackCommand": "Other.Command"}
    assert json_of(RECALLED, body)["bodycommand"] == "Other.Command"


def test_the_documented_disagreement_of_live_member_states_is_no_drift() -> None:
    body = {"CallbackCommand": "Live.CallbackAfterMemberStateChanged", "RoomId": "r", "EventType": "Online"}
    drift = Noted()
    event = json_of("Live.CallbackMemberStateChanged", body, drift=drift)
    assert event["bodycommand"] == "Live.CallbackAfterMemberStateChanged"
    assert "command" not in {kind for kind, _, _ in drift.items}


@pytest.mark.parametrize("noise", ["\ud83d\udca9 weird\x00\x1f", "x" * 5000, "名字"])
def test_attributes_are_valid_whatever_the_query_says(noise: str) -> None:
    text = noise.encode(errors="replace").decode()
    (record,) = normalizer().event(received(text, b"{}", ClientIP=text, OptPlatform=text))
    event = checked_event(record)
    assert len(event["callbackcommand"]) <= 256
    assert len(event["platform"]) <= 256
    assert all(character.isprintable() for character in event["clientip"])


def test_the_trace_context_travels_in_a_header() -> None:
    context = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=b"))
    (record,) = normalizer().event(msgspec.structs.replace(received(RECALLED, b"{}"), trace=context))
    assert record.headers[1:] == list(context)


# -- Bodies that differ from the documentation -------------------------------------------------------------------------


def test_an_unknown_command_is_passed_on_as_it_is() -> None:
    body = {
        "CallbackCommand": "New.Thing",
        "To_Account": "a",
        "Deep": {"list": [1, {"x": None}]},
        "EventTime": 1670574414,
    }
    event = json_of("New.Thing", body)
    assert (event["type"], event["subject"], event["data"]) == (UNKNOWN_TYPE, "a", body)
    assert event["time"] == "2022-12-09T08:26:54.000Z"


@pytest.mark.parametrize(
    "command", ["Live.CallbackBeforeCallBackNotBlock", "Group.CallbackAfterMemberKicked", "Room.X"]
)
def test_a_command_that_is_known_by_name_only_is_unknown(command: str) -> None:
    assert event_of(command, {"RoomId": "r"}).type == UNKNOWN_TYPE


def test_unknown_fields_are_passed_on_where_they_stood() -> None:
    info = {"Action": "Login", "To_Account": "a", "Reason": "Register", "Extra": 1}
    devices = [{"Platform": "iOS"}, {"Platform": "Web", "Model": "m"}]
    data = json_of("State.StateChange", {"Info": info, "KickedDevice": devices, "New": {"x": [1]}})["data"]
    assert data["info"] == {"action": "Login", "to_account": "a", "reason": "Register"}
    assert data["kicked_device"] == [{"platform": "iOS"}, {"platform": "Web"}]
    assert data["unknown"] == {"Info": {"Extra": 1}, "KickedDevice": [{}, {"Model": "m"}], "New": {"x": [1]}}


def test_a_value_of_a_surprising_type_is_passed_on_and_its_field_is_absent() -> None:
    data = json_of(RECALLED, {"To_Account": "a", "UnreadMsgNum": "many", "MsgKey": {"a": 1}})["data"]
    assert data == {"to_account": "a", "unknown": {"UnreadMsgNum": "many", "MsgKey": {"a": 1}}}


@pytest.mark.parametrize(
    ("field", "given", "name", "read"),
    [
        ("UnreadMsgNum", "7", "unread_total", 7),
        ("UnreadMsgNum", "-1", "unread_total", -1),
        ("UnreadMsgNum", 7.0, "unread_total", 7),
        ("UnreadMsgNum", -1.0, "unread_total", -1),
        ("UnreadMsgNum", 0.0, "unread_total", 0),
        ("UnreadMsgNum", -0.0, "unread_total", 0),
        ("UnreadMsgNum", "7.0", "unread_total", 7),
        ("UnreadMsgNum", "7e0", "unread_total", 7),
        ("UnreadMsgNum", "70E-1", "unread_total", 7),
        ("UnreadMsgNum", 2**63 - 1, "unread_total", 2**63 - 1),
        ("UnreadMsgNum", 2.0**53, "unread_total", 2**53),
        ("UnreadMsgNum", str(2**63 - 1), "unread_total", 2**63 - 1),
        ("MsgSeq", "4294967295", "msg_seq", 4_294_967_295),
        ("OnlineOnlyFlag", 1, "online_only", True),
        ("OnlineOnlyFlag", 0, "online_only", False),
        ("OnlineOnlyFlag", "1", "online_only", True),
        ("OnlineOnlyFlag", True, "online_only", True),
        ("OnlineOnlyFlag", 1.0, "online_only", True),
        ("OnlineOnlyFlag", "true", "online_only", True),
        ("OnlineOnlyFlag", "false", "online_only", False),
        ("To_Account", 42.0, "to_account", "42"),
        ("To_Account", 144_115_212_830_834_855, "to_account", "144115212830834855"),
    ],
)
def test_a_value_with_one_clear_form_in_its_type_is_read(field: str, given: Any, name: str, read: Any) -> None:
    data = json_of(SENT, {"From_Account": "x", field: given})["data"]
    assert data[name] == read
    assert type(data[name]) is type(read)
    assert "unknown" not in data


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("UnreadMsgNum", "007"),
        ("UnreadMsgNum", " 7"),
        ("UnreadMsgNum", "1_000"),
        ("UnreadMsgNum", "\uff17"),
        ("UnreadMsgNum", 7.5),
        ("UnreadMsgNum", True),
        ("UnreadMsgNum", "7.5"),
        ("UnreadMsgNum", "7."),
        ("UnreadMsgNum", ".7e1"),
        ("UnreadMsgNum", "07.0"),
        ("UnreadMsgNum", "-0"),
        ("UnreadMsgNum", "1e30"),
        ("UnreadMsgNum", "1e999999999"),
        ("UnreadMsgNum", "7" * 5000),
        ("UnreadMsgNum", "Infinity"),
        ("UnreadMsgNum", 1e300),
        ("UnreadMsgNum", 2.0**53 + 2),
        ("UnreadMsgNum", 2**63),
        ("UnreadMsgNum", 2**64 - 1),
        ("OnlineOnlyFlag", "True"),
        ("OnlineOnlyFlag", 0.5),
        ("OnlineOnlyFlag", 2),
        ("OnlineOnlyFlag", "yes"),
        ("To_Account", 1.5),
        ("MsgBody", "text"),
    ],
)
def test_a_value_without_one_clear_form_is_passed_on(field: str, given: Any) -> None:
    assert json_of(SENT, {"From_Account": "x", field: given})["data"]["unknown"] == {field: given}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"7.0", 7),
        (b"7e0", 7),
        (b"70E-1", 7),
        (b"7.00000000000000000000000000", 7),
        (b"-0", 0),
        (b"1e400", None),
        (b"-1e400", None),
        (b"NaN", None),
        (b"1e-400", 0),
        (b"9" * 4000, None),
        (b"9" * 4000 + b".0", None),
        (b"1e" + b"9" * 4000, None),
        (b"7e" + b"0" * 4000, 7),
    ],
)
def test_a_number_is_whole_however_it_is_written_and_no_number_is_too_much(written: bytes, read: int | None) -> None:
    body = b'{"CallbackCommand":"%b","From_Account":"a","To_Account":"b","MsgKey":"k","UnreadMsgNum":%b,"EventTime":%b}'
    event = json_of(RECALLED, body % (RECALLED.encode(), written, written))
    assert event["data"].get("unread_total") == read
    assert ("UnreadMsgNum" in event["data"].get("unknown", {})) == (read is None)


def test_a_value_that_is_a_number_or_text_is_whole_too() -> None:
    body = {"From_Account": "a", "ProfileItem": [{"Tag": "Tag_Profile_IM_Gender", "Value": 5.0}]}
    (item,) = json_of("Profile.CallbackPortraitSet", body)["data"]["profile_item"]
    assert item["value"] == 5
    assert type(item["value"]) is int


def test_null_is_the_same_as_absent() -> None:
    assert json_of(RECALLED, {"To_Account": "a", "MsgKey": None, "UnreadMsgNum": None})["data"] == {"to_account": "a"}


def test_names_of_other_versions_and_other_cases_are_the_same_field() -> None:
    command = "Group.CallbackBeforeCreateGroup"
    for name in ("CreateGroupNum", "CreatedGroupNum", "CreatedNum", "creategroupnum"):
        data = json_of(command, {"Operator_Account": "a", name: 3})["data"]
        assert data == {"operator_account": "a", "create_group_num": 3}
    attributes = [{"Key": "a", "Value": "b"}, {"key": "c", "value": "d"}]
    data = json_of("Group.CallbackAfterGroupAttrChanged", {"GroupId": "g", "GroupAttr": attributes})["data"]
    assert data["group_attr"] == [{"key": "a", "value": "b"}, {"key": "c", "value": "d"}]


def test_of_two_names_for_a_field_the_documented_one_counts_and_the_other_is_passed_on() -> None:
    data = json_of("Group.CallbackAfterGroupFull", {"groupid": "other", "GroupId": "g"})["data"]
    assert data == {"group_id": "g", "unknown": {"groupid": "other"}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b" \n", "empty"), (b"{", "not_json"), (b"[1]", "not_an_object"), (b"7", "not_an_object")],
)
def test_what_is_no_json_object_is_unreadable(body: bytes, reason: str) -> None:
    for command in (RECALLED, "New.Thing", "Push.OfflinePush", ""):
        with pytest.raises(UnreadableError) as caught:
            records_of(command, body)
        assert caught.value.reason == reason
