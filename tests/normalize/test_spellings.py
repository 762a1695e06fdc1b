"""Fields that one version of the documentation has and another has not, and those of captured traffic, are typed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.events import Noted, checked_event, records_of

TIME_MS = 1_682_914_763_569
MEMBERS = [{"Member_Account": "ann"}]
GROUP = {"GroupId": "@TGS#2Z4CLQE5CM", "Type": "Public", "Operator_Account": "ann"}
CREATED = {"Operator_Account": "ann", "Owner_Account": "ann", "Type": "Public", "Name": "n", "MemberList": MEMBERS}
MESSAGE = {**GROUP, "From_Account": "ann", "Random": 41_784_661, "MsgBody": []}


@pytest.mark.parametrize(
    ("command", "body", "typed"),
    [
        (
            "Group.CallbackAfterMemberFieldChanged",
            GROUP | {"Member_Account": "ben", "Role": "Admin"},
            {"modified_account": "ben"},
        ),
        ("Group.CallbackBeforeSendMsg", MESSAGE | {"MsgId": "1-2-3"}, {"msg_id": "1-2-3"}),
        (
            "Group.CallbackBeforeSendMsg",
            MESSAGE | {"MsgPriority": "Normal", "OnlineOnlyFlag": 0},
            {"msg_priority": "Normal", "online_only": False},
        ),
        (
            "Group.CallbackAfterSendMsg",
            MESSAGE | {"MsgPriority": "Normal", "MsgSeq": 4, "MsgTime": 1_657_612_269},
            {"msg_priority": "Normal"},
        ),
        (
            "C2C.CallbackBeforeSendMsg",
            {
                "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "123"}}],
                "From_Account": "1",
                "To_Account": "user_01",
                "FriendShip": 3,
                "MsgRandom": 1_109_223_749,
                "MsgSeq": 3_678_786,
                "MsgTime": 1_543_209_719,
            },
            {"friendship": 3},
        ),
        (
            "Group.CallbackAfterRecallMsg",
            GROUP | {"MsgSeqList": [{"MsgSeq": 130, "MsgId": "1-2-3"}]},
            {"msg_seq_list": [{"msg_seq": 130, "msg_id": "1-2-3"}]},
        ),
        (
            "Group.CallbackOnMemberStateChange",
            {"GroupId": "g", "EventType": "Offline", "EventCause": "HeartbeatInterrupt", "MemberList": MEMBERS},
            {"event_cause": "HeartbeatInterrupt"},
        ),
        (
            "Group.CallbackAfterCreateGroup",
            CREATED | {"GroupId": "g", "InviteOption": "NeedPermission"},
            {"invite_option": "NeedPermission"},
        ),
        (
            "Group.CallbackBeforeCreateGroup",
            CREATED | {"InviteOption": "NeedPermission"},
            {"invite_option": "NeedPermission"},
        ),
        (
            "Chatbot.OnC2CSignalMessage",
            {
                "From_Account": "ann",
                "To_Account": "@RBT#chatbot",
                "MsgSeq": 5678,
                "MsgRandom": 8765,
                "MsgKey": "8765_5678_4321",
                "Data": '{"msg":"passed through"}',
            },
            {"payload": '{"msg":"passed through"}'},
        ),
    ],
)
def test_a_field_of_any_version_is_typed_and_no_surprise(
    command: str, body: dict[str, Any], typed: dict[str, Any]
) -> None:
    drift = Noted()
    (record,) = records_of(
        command, orjson.dumps({"CallbackCommand": command, "EventTime": TIME_MS, **body}), drift=drift
    )
    data = checked_event(record)["data"]
    assert data.items() >= typed.items()
    assert "unknown" not in data
    assert not drift.items
