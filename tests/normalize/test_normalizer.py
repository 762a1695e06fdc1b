"""Callbacks become events: every documented body, every quirk of the protocol, and whatever else may come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import msgspec
import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.contract import schemas
from bridge.contract.examples import made_body
from bridge.events import DATA_TYPES, UNKNOWN_TYPE, parse_event, registry
from bridge.journal.record import Record
from bridge.normalize.attributes import event_time_ms
from bridge.normalize.normalizer import UnreadableError
from common.timestamps import rfc3339
from tests.support.callbacks import RECALLED, SENT, Callback, sample, samples
from tests.support.events import DLQ, EVENTS, NOON_NS, Noted, event_of, json_of, normalizer, received, records_of

NOON = rfc3339(NOON_NS // 1_000_000)


def bodies() -> list[Any]:
    """Every documented body, and one with every documented field for each command."""
    documented = [pytest.param(callback.command, callback.body, id=name) for name, callback in samples().items()]
    made = [
        pytest.param(entry.callback.command, made_body(entry), id=f"{entry.callback.command}.made")
        for entry in registry.ENTRIES
    ]
    return documented + made


@pytest.mark.parametrize(("command", "body"), bodies())
def test_a_documented_body_becomes_a_valid_event_of_its_type_with_nothing_unknown(command: str, body: bytes) -> None:
    entry = registry.find(command)
    assert entry is not None
    drift = Noted()
    for record in records_of(command, body, drift=drift):
        event = check(record)
        assert event["type"] == entry.callback.type
        assert "unknown" not in event["data"]
        assert "repaired" not in event
        assert "bodycommand" not in event
    assert drift.items == []


@pytest.mark.parametrize(("command", "body"), bodies())
def test_no_value_of_a_documented_body_is_lost(command: str, body: bytes) -> None:
    assert lost(orjson.loads(body), records_of(command, body)) == {}


# -- The envelope ------------------------------------------------------------------------------------------------------


def test_the_event_of_the_recall_is_the_documented_one() -> None:
    assert json_of(RECALLED, sample(f"{RECALLED}.v1").body) | {"id": ""} == {
        "specversion": "1.0",
        "id": "",
        "source": "/tencent-im/1400000000",
        "type": "im.c2c.message.recalled",
        "subject": "13800001111",
        "time": NOON,
        "datacontenttype": "application/json",
        "dataschema": "urn:im-bridge:schemas/im.c2c.message.recalled.json",
        "callbackcommand": RECALLED,
        "receivedtime": NOON,
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
    ],
)
def test_event_time_is_read_as_number_or_text_in_milliseconds_or_seconds(given: Any, written: str) -> None:
    event = json_of(RECALLED, {"To_Account": "a", "EventTime": given})
    assert event["time"] == written
    assert "unknown" not in event["data"]


@pytest.mark.parametrize("given", [0, -1, "soon", 10**17, 1.5, True, [], "\uff19" * 10])
def test_an_event_time_that_is_none_counts_as_absent_and_is_passed_on(given: Any) -> None:
    event = json_of(RECALLED, {"To_Account": "a", "EventTime": given})
    assert event["time"] == event["receivedtime"] == NOON
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
    event = check(record)
    assert len(event["callbackcommand"]) <= 256
    assert len(event["platform"]) <= 256
    assert all(character.isprintable() for character in event["clientip"])


def test_the_trace_context_travels_in_a_header() -> None:
    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (record,) = normalizer().event(msgspec.structs.replace(received(RECALLED, b"{}"), traceparent=context))
    assert ("traceparent", context.encode()) in record.headers


# -- Subject and identity ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("Group.CallbackOnDailyGroupQuotaAlarm", "1400000000"),
        ("Sns.CallbackFriendAdd", "omar-lee"),
        ("Call.CallbackAfterEndCall", "747cc9e3-e62b-d16f-a1b8-0b07bafe3f65"),
        ("Live.CallbackAfterCreateRoom", "RoomId-c9b7dc"),
        ("Group.CallbackBeforeCreateGroup.v1", "tester_5"),
        ("OfficialAccount.CallbackAfterSendMsg", "@TOA#_7331D6153"),
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


def _id(command: str, body: dict[str, Any], time_ns: int = NOON_NS) -> str:
    (record,) = normalizer().event(received(command, body, time_ns=time_ns))
    return str(orjson.loads(record.value)["id"])


@pytest.mark.parametrize(
    "name",
    [
        "C2C.CallbackAfterMsgWithDraw.v1",
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
        "C2C.CallbackAfterSendMsg.v2",
        "C2C.CallbackAfterMsgReport.v1",
        "Sns.CallbackFriendAdd",
        "Group.CallbackAfterGroupFull.v1",
        "Group.CallbackBeforeCreateGroup.v3",
        "Group.CallbackOnMemberStateChange",
        "Live.CallbackBeforeSendGift",
    ],
)
def test_where_nothing_is_unique_every_callback_is_a_new_event(name: str) -> None:
    callback = sample(name)
    assert _id(callback.command, callback.json, 1) != _id(callback.command, callback.json, 2)


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
        ("MsgSeq", "4294967295", "msg_seq", 4_294_967_295),
        ("OnlineOnlyFlag", 1, "online_only", True),
        ("OnlineOnlyFlag", 0, "online_only", False),
        ("OnlineOnlyFlag", "1", "online_only", True),
        ("OnlineOnlyFlag", True, "online_only", True),
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
        ("OnlineOnlyFlag", 2),
        ("OnlineOnlyFlag", "yes"),
        ("To_Account", 1.5),
        ("MsgBody", "text"),
    ],
)
def test_a_value_without_one_clear_form_is_passed_on(field: str, given: Any) -> None:
    assert json_of(SENT, {"From_Account": "x", field: given})["data"]["unknown"] == {field: given}


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


# -- Batches -----------------------------------------------------------------------------------------------------------


def test_a_batch_becomes_one_event_for_each_item() -> None:
    callback = sample("Push.OfflinePush")
    records = records_of(callback.command, callback.body)
    assert [record.key for record in records] == [b"u-20931", b"sun.hao"]
    first, second = (check(record) for record in records)
    assert first["time"] == "2025-10-14T14:38:55.000Z"
    assert (first["data"]["chat_type"], first["data"]["msg_key"]) == (1, "992690_2696768249_1765402240")
    assert second["data"]["group_id"] == "@TGS#D64413413"
    assert first["id"] != second["id"]


def test_the_items_of_a_batch_without_anything_unique_are_different_events() -> None:
    records = records_of("Push.OfflinePush", {"Events": [{"To_Account": "a"}, {"To_Account": "a"}]})
    assert len({orjson.loads(record.value)["id"] for record in records}) == 2


def test_of_a_partly_unreadable_batch_the_good_items_are_published_and_the_bad_ones_dead_letters() -> None:
    records = records_of("Push.AllMemberPush", b'{"Events":[{"To_Account":"a"},7,{"To_Account":"b"},"x"]}')
    assert [record.topic for record in records] == [EVENTS, DLQ, EVENTS, DLQ]
    assert [record.value for record in records if record.topic == DLQ] == [b"7", b'"x"']
    headers = dict(records[1].headers)
    assert headers["reason"] == b"not_an_object"
    assert headers["detail"].startswith(b"event 2 of a batch")


def test_a_batch_that_needed_repair_marks_all_of_its_events() -> None:
    body = b'{"Events":[{"To_Account":"a"},{"To_Account":"b\\ud83d"}]}'
    first, second = (check(record) for record in records_of("Push.OfflinePush", body))
    assert first["repaired"] is second["repaired"] is True
    assert second["subject"] == "b\ufffd"


def test_what_stands_beside_the_list_belongs_to_every_item() -> None:
    body = {"Events": [{"To_Account": "a"}, {"To_Account": "b"}], "Batch": 7}
    records = records_of("Push.OfflinePush", body)
    assert [orjson.loads(record.value)["data"]["unknown"] for record in records] == [{"Batch": 7}, {"Batch": 7}]


@pytest.mark.parametrize("items", [[], [7], ["x", None]])
def test_a_batch_without_events_is_unreadable_as_a_whole(items: list[Any]) -> None:
    with pytest.raises(UnreadableError) as caught:
        records_of("Push.OfflinePush", {"Events": items, "Batch": 7})
    assert caught.value.reason == "empty_batch"


def test_a_single_event_under_a_batch_command_is_one_event() -> None:
    assert event_of("Push.OfflinePush", {"To_Account": "a", "PushID": "p", "PushStage": 1}).subject == "a"


def test_the_batch_of_an_unknown_command_is_taken_apart_too() -> None:
    items = [{"CallbackCommand": "Push.New", "To_Account": name} for name in "abc"]
    records = records_of("Push.New", {"Events": items})
    assert [orjson.loads(record.value)["data"] for record in records] == items
    assert len(records_of("Push.New", {"Events": items, "To_Account": "a"})) == 1


# -- Anything else -----------------------------------------------------------------------------------------------------


_documents = cache(schemas.documents)


@cache
def _validator(event_type: str) -> Any:
    return jsonschema.Draft202012Validator(orjson.loads(_documents()[f"events/{event_type}.json"]))


def check(record: Record) -> dict[str, Any]:
    """The event of a record, after everybody who must be able to read it has read it."""
    assert record.topic == EVENTS
    event = orjson.loads(record.value)
    assert isinstance(event, dict)
    by_sdk = JSONFormat().read(None, record.value)
    assert by_sdk.get_id() == event["id"]
    assert by_sdk.get_data() == event["data"]
    parsed = parse_event(record.value)
    assert isinstance(parsed.data, DATA_TYPES.get(event["type"], dict))
    assert record.key.decode() == event["subject"]
    _validator(event["type"]).validate(event)
    return event


def leaves(value: Any) -> Iterator[str]:
    """Every value at the end of a branch, in a form that does not tell `7` from `"7"` and `1` from `true`."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield str(int(value)) if isinstance(value, bool) else str(value)


def lost(body: Any, records: list[Record]) -> Counter[str]:
    """The values of a body that none of its records has."""
    kept: Counter[str] = Counter()
    for record in records:
        value = orjson.loads(record.value)
        kept.update(leaves(value["data"] if record.topic == EVENTS else value))
        if record.topic == EVENTS:
            # What became an attribute: the command, and the time.
            kept.update(leaves([value["callbackcommand"], value.get("bodycommand")]))
    fields = body.get("Events", [body]) if isinstance(body, dict) else [body]
    wanted = Counter(leaves(body))
    for item in (*fields, body) if isinstance(fields, list) else ():
        if isinstance(item, dict):
            wanted -= Counter(_attributes(item, kept))
    return wanted - kept


def _attributes(item: dict[str, Any], kept: Counter[str]) -> Iterator[str]:
    for name, value in item.items():
        if name.lower() == "eventtime" and event_time_ms(value) is not None:
            yield str(value)
        if name.lower() == "callbackcommand" and any(str(value).lower() == one.lower() for one in kept):
            yield str(value)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3),
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """A documented body with one to three changes at any depth."""
    callback: Callback = draw(st.sampled_from(list(samples().values())))
    body = callback.json
    for _ in range(draw(st.integers(1, 3))):
        _mutate(draw, body)
    return callback.command, body


def _mutate(draw: st.DrawFn, body: dict[str, Any]) -> None:
    objects = list(_objects(body))
    target = draw(st.sampled_from(objects))
    names = list(target)
    change = draw(st.sampled_from(["drop", "retype", "add", "case", "text"]))
    if change == "add" or not names:
        target[draw(st.text(max_size=8))] = draw(ODD)
        return
    name = draw(st.sampled_from(names))
    if change == "drop":
        del target[name]
    elif change == "retype":
        target[name] = draw(ODD)
    elif change == "case":
        target[draw(st.sampled_from([name.lower(), name.upper(), name.swapcase()]))] = target.pop(name)
    elif isinstance(target[name], int):
        target[name] = str(target[name])


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_whatever_differs_the_events_are_valid_and_no_value_is_lost(case: tuple[str, Any]) -> None:
    command, body = case
    try:
        records = records_of(command, orjson.dumps(body))
    except UnreadableError:
        assert not any(isinstance(item, dict) for item in body["Events"])
        return
    for record in records:
        if record.topic == EVENTS:
            check(record)
    assert lost(body, records) == {}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DATA_TYPES)), st.binary(max_size=200))
def test_any_bytes_become_an_event_or_are_unreadable(event_type: str, body: bytes) -> None:
    try:
        for record in records_of(DATA_TYPES[event_type].callback.command, body):
            if record.topic == EVENTS:
                check(record)
    except UnreadableError:
        pass
