"""Whom an event is about, and which deliveries are the same event."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.contract.examples import EVENT_TIME_MS, documented_bodies, made_body
from bridge.events import registry
from bridge.events.envelope import event_id
from bridge.normalize.received import Received
from bridge.query import parse_query
from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import NOON_NS, event_of, json_of, normalizer, received, records_of


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("Group.CallbackOnDailyGroupQuotaAlarm", "1400000000"),
        ("Sns.CallbackFriendAdd", "omar-lee"),
        ("Call.CallbackAfterEndCall", "747cc9e3-e62b-d16f-a1b8-0b07bafe3f65"),
        ("Live.CallbackAfterCreateRoom", "RoomId-c9b7dc"),
        ("Group.CallbackBeforeCreateGroup.v1", "tester_5"),
        ("OfficialAccount.CallbackAfterSendMsg", "@TOA#_7331D6153"),
        ("Room.CallbackAfterDestroyRoom.v1", "RoomId-c9b7dc"),
        ("Room.CallbackAfterUpdateRoomInfo.v1", "RoomId-c9b7dc"),
        ("Live.CallbackAfterCloudRecordingChanged.v2", "43615"),
        ("Call.CallbackAfterRecordChanged.v1", "747cc9e3-e62b-d16f-a1b8-0b07bafe3f65"),
        ("enterRoom", "RoomId-c9b7dc"),
    ],
)
def test_the_subject_is_what_the_entry_says(name: str, subject: str) -> None:
    callback = sample(name)
    assert event_of(callback.command, callback.body).subject == subject


def test_without_its_field_the_subject_is_the_best_that_the_body_has() -> None:
    assert event_of(RECALLED, {"From_Account": "jared"}).subject == "jared"
    assert event_of(RECALLED, {}).subject == "1400000000"
    assert event_of("New.Thing", {"Info": {"To_Account": "deep"}}).subject == "deep"
    assert event_of("New.Thing", {"Owner_Account": "owner", "GroupId": "@TGS#1"}).subject == "@TGS#1"


@pytest.mark.parametrize(
    "body",
    [
        {"RoomId": "r-1"},
        {"Operator_Account": "ann", "RoomId": "r-1"},
        {"To_Account": "ann", "RoomId": "r-1"},
        {"Operator_Account": "ann", "RoomInfo": {"RoomId": "r-1", "Owner_Account": "bob"}},
        {"EventGroupId": 1, "EventType": 102, "EventInfo": {"EventTs": 1_757_479_624, "RoomId": "r-1"}},
        {"Operator_Account": "ann", "Callback": {"EventInfo": {"RoomId": "r-1"}}},
        {"Owner_Account": "ann", "ToRoomList": [{"RoomId": "r-1"}, {"RoomId": "r-2"}]},
        {"Owner_Account": "ann", "RoomId": "", "RoomInfo": {"RoomId": "r-1"}},
    ],
)
def test_an_unknown_command_about_a_room_has_it_as_key(body: dict[str, Any]) -> None:
    for command in ("Live.New", "Room.New", ""):
        (record,) = records_of(command, body)
        assert record.key == b"r-1"


@pytest.mark.parametrize(("given", "key"), [(43615, b"43615"), ("43615", b"43615"), (0, b"ann"), (True, b"ann")])
def test_a_room_that_is_a_number_is_the_same_key_as_its_digits(given: Any, key: bytes) -> None:
    for body in ({"RoomId": given}, {"EventInfo": {"RoomId": given}}):
        (record,) = records_of("Live.New", {"Operator_Account": "ann", **body})
        assert record.key == key


def test_a_group_or_whom_it_is_about_goes_before_a_room_in_an_object() -> None:
    assert event_of("New.Thing", {"GroupId": "g", "RoomInfo": {"RoomId": "r"}}).subject == "g"
    assert event_of("New.Thing", {"To_Account": "a", "RoomInfo": {"RoomId": "r"}}).subject == "a"


def test_a_known_callback_without_its_own_room_has_the_next_best_as_key() -> None:
    body = {"Operator_Account": "ann", "EventType": "DestroyByUser", "RoomInfo": {"RoomId": "r"}}
    assert event_of("Live.CallbackAfterDestroyRoom", body).subject == "r"


def _id(command: str, body: dict[str, Any], time_ns: int = NOON_NS, **query: Any) -> str:
    (record,) = normalizer().event(received(command, body, time_ns=time_ns, **query))
    return str(orjson.loads(record.value)["id"])


@pytest.mark.parametrize(
    "name",
    [
        "C2C.CallbackAfterMsgWithDraw.v1",
        "C2C.CallbackAfterSendMsg.v2",
        "C2C.CallbackAfterSendMsg.v3",
        "C2C.CallbackAfterMsgReadReceipt",
        "Group.CallbackAfterSendMsg.v1",
        "Group.CallbackAfterCreateGroup.v2",
        "Call.CallbackAfterEndCall",
        "ContentCallback.ResultNotify.v1",
    ],
)
def test_a_redelivered_callback_has_the_same_id(name: str) -> None:
    callback = sample(name)
    assert _id(callback.command, callback.json, 1) == _id(callback.command, callback.json, 2)


@pytest.mark.parametrize(
    "name",
    [
        "C2C.CallbackAfterMsgReport.v1",
        "Sns.CallbackFriendAdd",
        "Group.CallbackAfterGroupFull.v1",
        "Group.CallbackBeforeCreateGroup.v1",
        "Group.CallbackAfterCreateTopic",
        "Group.CallbackOnMemberStateChange",
        "Live.CallbackBeforeSendGift",
    ],
)
def test_where_nothing_is_unique_every_callback_is_a_new_event(name: str) -> None:
    callback = sample(name)
    assert _id(callback.command, callback.json, 1) != _id(callback.command, callback.json, 2)


ONLINE_ONLY = [("ann", 1), ("ann", 2), ("bob", 1), ("cem", 1)]
"""Four messages of one second, of three senders, by sender and random number."""


@pytest.mark.parametrize("command", ["Group.CallbackAfterSendMsg", "Bot.OnGroupMessage"])
@pytest.mark.parametrize("topic", [{}, {"TopicId": ""}, {"TopicId": "@TGS#_1@TOPIC#_2"}])
def test_online_only_messages_of_a_second_are_different_events(command: str, topic: dict[str, Any]) -> None:
    common = {"GroupId": "g", "MsgSeq": 7, "MsgTime": 1_557_481_126, "OnlineOnlyFlag": 1, **topic}
    bodies = [common | {"From_Account": sender, "Random": random} for sender, random in ONLINE_ONLY]
    assert len({_id(command, body) for body in bodies}) == len(bodies)
    assert _id(command, bodies[0], 1) == _id(command, bodies[0], 2)


@pytest.mark.parametrize("absent", ["Random", "From_Account", "MsgSeq", "MsgTime", "GroupId"])
def test_a_group_message_without_a_part_of_its_identity_is_a_new_event_each_time(absent: str) -> None:
    body = sample("Group.CallbackAfterSendMsg.v4").json
    for body[absent] in (None, "", {"odd": 1}):
        assert _id("Group.CallbackAfterSendMsg", body, 1) != _id("Group.CallbackAfterSendMsg", body, 2)


@pytest.mark.parametrize("topic", [{"TopicId": ["odd"]}, {"topicid": {"odd": 1}}, {"TopicId": 1.5}])
def test_what_would_tell_events_apart_and_is_not_understood_takes_none_for_another(topic: dict[str, Any]) -> None:
    body = {name: value for name, value in sample("Group.CallbackAfterSendMsg.v4").json.items() if name != "TopicId"}
    assert _id("Group.CallbackAfterSendMsg", body | topic, 1) != _id("Group.CallbackAfterSendMsg", body | topic, 2)


@pytest.mark.parametrize("name", ["Push.AllMemberPush.v1", "Push.OfflinePush"])
def test_pushes_to_devices_of_several_vendors_in_one_second_are_different_events(name: str) -> None:
    callback = sample(name)
    item = {**callback.json["Events"][0], "PushPlatform": 0}
    items = [item | {"DeviceType": vendor} for vendor in (1, 2, 3)]
    found = [orjson.loads(record.value)["id"] for record in records_of(callback.command, {"Events": items})]
    again = [orjson.loads(record.value)["id"] for record in records_of(callback.command, {"Events": items[::-1]})]
    assert len(set(found)) == len(items)
    assert again == found[::-1]


def test_a_push_without_the_vendor_of_the_device_keeps_the_id_that_it_had_before_that_was_known() -> None:
    item = {
        "CallbackCommand": "Push.OfflinePush",
        "To_Account": "ann",
        "PushID": "p-1",
        "PushStage": 1,
        "PushPlatform": 3,
        "EventTime": 1_557_481_128,
        "ErrCode": 0,
    }
    before = event_id(("1400000000", "Push.OfflinePush", "p-1", 1, "ann", 3, 1_557_481_128_000, 0))
    for vendor in ({}, {"DeviceType": None}):
        assert event_of("Push.OfflinePush", {"Events": [item | vendor]}).id == before


EXACT = [entry for entry in registry.ENTRIES if entry.callback.exact]


def _made(entry: registry.Entry) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(made_body(entry))
    (item,) = body[entry.callback.batch] if entry.callback.batch else (body,)
    return dict(item) | ({"EventTime": EVENT_TIME_MS} if "event_time" in entry.callback.identity else {})


@pytest.mark.parametrize("form", [float, str], ids=["7.0", "text"])
@pytest.mark.parametrize("entry", EXACT, ids=lambda entry: entry.callback.command)
def test_a_body_that_a_gateway_has_written_anew_has_the_same_id(entry: registry.Entry, form: Any) -> None:
    bodies = [_made(entry)]
    if not entry.callback.batch:
        bodies += [orjson.loads(body) for body in documented_bodies().get(entry.callback.command, ())]
    for body in bodies:
        came = _id(entry.callback.command, body, 1)
        if came == _id(entry.callback.command, body, 2):
            assert _id(entry.callback.command, _rewritten(body, form), 1) == came


def _rewritten(value: Any, form: Any) -> Any:
    """The same body with its whole numbers in another form, and its fields in another order."""
    if isinstance(value, dict):
        return {name: _rewritten(item, form) for name, item in reversed(value.items())}
    if isinstance(value, list):
        return [_rewritten(item, form) for item in value]
    # Nobody can tell which account a greater number was that is written as 1.44115212830834e17.
    return form(value) if type(value) is int and (form is str or value <= 2**53) else value


@pytest.mark.parametrize("time", [1_557_481_126, "1557481126", 1_557_481_126.0])
@pytest.mark.parametrize("entry", EXACT, ids=lambda entry: entry.callback.command)
def test_an_event_time_in_seconds_does_not_take_two_events_for_one(entry: registry.Entry, time: Any) -> None:
    body = _made(entry) | {"EventTime": time}
    is_exact = _id(entry.callback.command, body, 1) == _id(entry.callback.command, body, 2)
    assert is_exact == ("event_time" not in entry.callback.identity)


def test_two_devices_that_log_in_in_the_same_millisecond_are_two_events() -> None:
    body = {"Info": {"Action": "Login", "To_Account": "a", "Reason": "Register"}, "EventTime": 1_557_481_126_123}
    ids = {_id("State.StateChange", body, OptPlatform=platform) for platform in ("iOS", "IOS", "Web", None)}
    assert len(ids) == 3


def test_a_platform_that_is_no_unicode_makes_no_trouble() -> None:
    query = parse_query("SdkAppid=1&CallbackCommand=State.StateChange&OptPlatform=\udcff")
    body = sample("State.StateChange.v1").body
    (record,) = normalizer().event(Received(query, body, NOON_NS))
    assert orjson.loads(record.value)["platform"] == "?"


def test_a_message_that_was_delivered_after_it_had_failed_is_another_event() -> None:
    body = sample("C2C.CallbackAfterSendMsg.v3").json
    assert _id(SENT, body | {"SendMsgResult": 0}) != _id(SENT, body | {"SendMsgResult": 20006})


def test_receipts_of_which_only_one_message_names_its_readers_are_told_apart() -> None:
    def receipts(*readers: str) -> dict[str, Any]:
        named = {"MsgSeq": 1, "ReadReceiptMembers": [{"Member_Account": reader} for reader in readers]}
        return {"GroupId": "g", "EventTime": 1_557_481_126_123, "GroupMsgReceiptList": [named, {"MsgSeq": 2}]}

    command = "Group.CallbackAfterReadReceipt"
    assert _id(command, receipts("a"), 1) == _id(command, receipts("a"), 2)
    assert _id(command, receipts("a")) != _id(command, receipts("b"))


def test_events_that_differ_in_any_identity_field_have_different_ids() -> None:
    message = sample("Group.CallbackAfterSendMsg.v4").json
    others = [
        message | {name: "7" if isinstance(message[name], str) else 7} for name in ("GroupId", "MsgSeq", "MsgTime")
    ]
    others.append(message | {"TopicId": "@TGS#_1@TOPIC#_2"})
    ids = {_id("Group.CallbackAfterSendMsg", body) for body in [message, *others]}
    assert len(ids) == 5
    recalled = {"From_Account": "ab", "To_Account": "c", "MsgKey": "k"}
    assert _id(RECALLED, recalled) != _id(RECALLED, recalled | {"From_Account": "a", "To_Account": "bc"})
    assert _id(RECALLED, recalled) != _id(SENT, recalled)


def test_the_same_event_has_the_same_id_however_its_body_is_written() -> None:
    body = sample(f"{RECALLED}.v1").json
    assert _id(RECALLED, body) == _id(RECALLED, body | {"New": 1}) == _id(RECALLED, {**reversed_items(body)})


def reversed_items(body: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(body.items()))


@pytest.mark.parametrize("name", ["ann", "安", "@TGS#_a b:/%", "\u3000", "🙂\u200d🙂", "é" * 256, "\ue000", "\ufffd"])
def test_an_account_is_the_subject_and_the_key_as_it_is(name: str) -> None:
    for command in (RECALLED, "New.Thing"):
        (record,) = records_of(command, {"To_Account": name})
        assert record.key.decode() == orjson.loads(record.value)["subject"] == name


@pytest.mark.parametrize(
    "odd",
    [
        *map(chr, range(0x20)),
        *map(chr, range(0x7F, 0xA0)),
        "\u2028",
        "\u2029",
        "\ufdd0",
        "\ufdef",
        "\ufffe",
        "\uffff",
        "\U0001fffe",
        "\U0010ffff",
        "x" * 256,
    ],
)
def test_what_cannot_be_the_name_of_an_account_is_neither_subject_nor_key(odd: str) -> None:
    for command in (RECALLED, "New.Thing"):
        (record,) = records_of(command, {"To_Account": f"a{odd}"})
        event = orjson.loads(record.value)
        assert record.key == b"1400000000"
        assert event["subject"] == "1400000000"
        data = event["data"]
        assert f"a{odd}" in {data.get("to_account"), data.get("To_Account")}, "it is not lost"


def _changed(**fields: Any) -> dict[str, Any]:
    common = {"GroupId": "g", "Type": "Public", "Operator_Account": "o", "Role": "Admin", "EventTime": EVENT_TIME_MS}
    return common | fields


MEMBER_CHANGED = "Group.CallbackAfterMemberFieldChanged"


@pytest.mark.parametrize(
    "names",
    [
        {"Modified_Account": "a"},
        {"Member_Account": "a"},
        {"Modified_Account": "a", "Member_Account": "a"},
        {"Modified_Account": None, "Member_Account": "a"},
        {"member_account": "a"},
    ],
    ids="+".join,
)
def test_a_field_is_one_field_under_whichever_documented_name_it_comes(names: dict[str, Any]) -> None:
    event = json_of(MEMBER_CHANGED, _changed(**names))
    assert event["data"]["modified_account"] == "a"
    assert "unknown" not in event["data"]
    assert _id(MEMBER_CHANGED, _changed(**names), 1) == _id(MEMBER_CHANGED, _changed(Modified_Account="a"), 2)


def test_two_documented_names_that_say_different_things_lose_nothing_and_take_no_event_for_another() -> None:
    body = _changed(Modified_Account="a", Member_Account="b")
    data = json_of(MEMBER_CHANGED, body)["data"]
    assert (data["modified_account"], data["unknown"]) == ("a", {"Member_Account": "b"})
    assert _id(MEMBER_CHANGED, body, 1) != _id(MEMBER_CHANGED, body, 2)


def test_a_new_field_beside_one_that_tells_events_apart_leaves_the_event_exact() -> None:
    receipt: dict[str, Any] = {"MsgSeq": 1, "ReadNum": 2, "UnreadNum": 3, "New": 4}
    body = {"GroupId": "g", "Type": "Public", "EventTime": EVENT_TIME_MS, "GroupMsgReceiptList": [receipt]}
    command = "Group.CallbackAfterReadReceipt"
    assert _id(command, body, 1) == _id(command, body, 2)
    receipt["ReadNum"] = {"new": 2}
    assert _id(command, body, 1) != _id(command, body, 2)


@pytest.mark.parametrize(
    "devices", [["iOS"], {"Platform": "iOS"}, [{"Platform": {"new": 1}}], [{"Platform": "iOS"}, 5]]
)
def test_devices_that_are_not_understood_take_no_login_for_another(devices: Any) -> None:
    info = {"Action": "Login", "To_Account": "a", "Reason": "Register"}
    body = {"Info": info, "EventTime": EVENT_TIME_MS, "KickedDevice": devices}
    assert _id("State.StateChange", body, 1) != _id("State.StateChange", body, 2)


@pytest.mark.parametrize("command", [SENT, "C2C.CallbackBeforeSendMsg", "Bot.OnC2CMessage"])
def test_a_message_without_its_key_is_known_by_the_numbers_that_the_key_is_made_of(command: str) -> None:
    numbers = {"MsgSeq": 1, "MsgRandom": 2, "MsgTime": 1_557_481_126}
    body = {"From_Account": "a", "To_Account": "b", **numbers}
    others = [body | {name: 7} for name in numbers] + [
        body | {"From_Account": "c"},
        body | {"MsgKey": "1_2_1557481126"},
    ]
    ids = {_id(command, one) for one in (body, *others)}
    assert len(ids) == 1 + len(others)
    assert _id(command, body, 1) == _id(command, body, 2)
    for name in body:
        less = {other: value for other, value in body.items() if other != name}
        assert _id(command, less, 1) != _id(command, less, 2)
