"""Whom an event is about, and which deliveries are the same event."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import NOON_NS, event_of, normalizer, received, records_of


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
