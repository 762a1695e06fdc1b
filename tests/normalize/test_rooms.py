"""Rooms, calls and recordings: what their pages print that no other callback has."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.events import UNKNOWN_TYPE, call, registry
from bridge.ingress import replies
from tests.support.callbacks import sample
from tests.support.events import Noted, json_of, normalizer, received

SET, DELETED = "Live.CallbackAfterSetMetadata", "Live.CallbackAfterDelMetadata"
RECORDED = "Live.CallbackAfterCloudRecordingChanged"
EVENTS_OF_A_CALL = (call.OldCallChanged.callback.command, *call.OldCallChanged.callback.aliases)
RESULTS_OF_A_CALL = ("cancel", "reject", "not_answer", "normal_end", "call_busy", "interrupt")
ROOM_COMMANDS = (
    "createRoom",
    "destroyRoom",
    "updateRoomInfo",
    "enterRoom",
    "exitRoom",
    "updateUserRole",
    "takeSeat",
    "leaveSeat",
)
BY_USER = {"UserId": "ann", "RoomId": "r", "EventTime": 1_682_415_761_579}


def _noted(command: str, body: Any) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    drift = Noted()
    return json_of(command, body, drift=drift), drift.items


def _id(command: str, body: dict[str, Any], time_ns: int) -> Any:
    (record,) = normalizer().event(received(command, body, time_ns=time_ns))
    return orjson.loads(record.value)["id"]


@pytest.mark.parametrize("body_command", [SET, DELETED, None])
def test_metadata_is_deleted_where_keys_come_under_the_url_of_the_set_ones(body_command: str | None) -> None:
    body = sample(f"{DELETED}.v1").json | {"CallbackCommand": body_command}
    event, drift = _noted(SET, body)
    assert (event["type"], event["callbackcommand"]) == ("im.live.metadata.deleted", DELETED)
    assert event["data"]["keys"] == ["Key-1a", "Key-2b"]
    assert drift == []
    assert event["id"] == json_of(DELETED, body)["id"]
    assert json_of(SET, {"RoomId": "r", "keys": ["a"]})["type"] == "im.live.metadata.deleted"


def test_metadata_is_set_where_its_own_field_is_there() -> None:
    event, drift = _noted(SET, sample(f"{SET}.v1").json | {"Keys": ["Key-1a"]})
    assert event["type"] == "im.live.metadata.set"
    assert drift == [("unknown_field", SET, "Keys")]
    assert json_of(SET, {"RoomId": "r"})["type"] == "im.live.metadata.set"


def test_the_time_of_a_recording_is_that_of_its_callback() -> None:
    body = sample(f"{RECORDED}.v1").json
    event, drift = _noted(RECORDED, body)
    assert event["time"] == "2026-05-14T12:03:53.250Z"
    assert event["data"]["callback_ts"] == body["CallbackTs"] == 1_778_760_233_250
    assert event["data"]["event_info"]["recording_payload"] == {"Status": 0}
    assert drift == []


def test_an_event_time_goes_before_the_time_in_the_data() -> None:
    body = sample(f"{RECORDED}.v1").json
    assert json_of(RECORDED, body | {"EventTime": 1_557_481_126_123})["time"] == "2019-05-10T09:38:46.123Z"
    assert json_of(RECORDED, body | {"EventTime": "soon"})["time"] == "2026-05-14T12:03:53.250Z"
    assert json_of(RECORDED, body | {"New": 1})["time"] == "2026-05-14T12:03:53.250Z"


def test_a_recording_comes_under_the_name_of_its_printed_twin_too() -> None:
    body = sample(f"{RECORDED}.v1").json
    twin = "Follow.CallbackAfterCloudRecordingChanged"
    event, drift = _noted(twin, body | {"CallbackCommand": twin})
    assert (event["type"], event["callbackcommand"]) == ("im.live.recording.changed", RECORDED)
    assert event["id"] == json_of(RECORDED, body)["id"]
    assert drift == []


def test_a_room_that_prints_its_event_time_inside_has_that_time() -> None:
    body = sample("Live.CallbackAfterCreateRoom.v2").json
    event, drift = _noted("Live.CallbackAfterCreateRoom", body)
    assert event["time"] == "2026-06-24T14:34:16.500Z"
    assert "unknown" not in event["data"]
    assert drift == []
    outside = body | {"EventTime": body["RoomInfo"].pop("EventTime")}
    assert json_of("Live.CallbackAfterCreateRoom", outside)["id"] == event["id"]


def test_the_old_name_of_a_changed_meeting_room_is_the_same_command() -> None:
    body = sample("Room.CallbackAfterUpdateRoomInfo.v1").json
    old = "Room.CallbackUpdateRoomInfo"
    event, drift = _noted(old, body | {"CallbackCommand": old})
    assert event["callbackcommand"] == "Room.CallbackAfterUpdateRoomInfo"
    assert event["data"]["room_info"]["is_cloud_recording_disabled"] is False
    assert event["id"] == json_of("Room.CallbackAfterUpdateRoomInfo", body)["id"]
    assert drift == []


@pytest.mark.parametrize("command", [*EVENTS_OF_A_CALL, *RESULTS_OF_A_CALL, "call_end", *ROOM_COMMANDS])
def test_an_old_webhook_gets_the_answer_that_it_waits_for(command: str) -> None:
    assert replies.accepted(command) is replies.ACCEPTED_CALL
    assert replies.accepted(command.upper()) is replies.ACCEPTED_CALL
    assert registry.label(command) == command
    assert not registry.is_before(command)


@pytest.mark.parametrize(
    ("commands", "name", "event_type"),
    [
        (EVENTS_OF_A_CALL, "caller_start_call", "im.call.old_call.changed"),
        (("call_end", *RESULTS_OF_A_CALL), "call_end", "im.call.old_call.ended"),
    ],
)
def test_what_happened_in_a_call_is_the_command_of_its_event(
    commands: tuple[str, ...], name: str, event_type: str
) -> None:
    ids = set()
    for command in commands:
        event, drift = _noted(command, sample(name).body)
        assert (event["type"], event["callbackcommand"]) == (event_type, command)
        assert event["subject"] == sample(name).json["CallId"]
        assert "unknown" not in event["data"]
        assert drift == []
        by_number, drift = _noted(command, sample(name).json | {"UserId": 5})
        assert (by_number["callbackcommand"], by_number["data"]["user_account"], drift) == (command, "5", [])
        ids.add(event["id"])
    assert len(ids) == len(commands)


@pytest.mark.parametrize("change", [{"TotalNum": 3}, {"EventTime": 1_782_311_631}, {"UserId": "bob"}, {"Event": "x"}])
def test_events_of_a_call_are_told_apart_by_all_that_the_body_has(change: dict[str, Any]) -> None:
    body = sample("caller_start_call").json
    assert json_of("invite_user", body)["id"] != json_of("invite_user", body | change)["id"]


def test_a_command_whose_page_nobody_could_read_is_typed_as_far_as_its_kin_and_the_rest_is_no_drift() -> None:
    for command in ("createRoom", "updateUserRole", "takeSeat"):
        event, drift = _noted(command, BY_USER | {"New": {"x": 1}})
        assert event["type"] != UNKNOWN_TYPE
        assert (event["subject"], event["time"]) == ("r", "2023-04-25T09:42:41.579Z")
        assert event["data"] == {"user_account": "ann", "room_id": "r", "unknown": {"New": {"x": 1}}}
        assert drift == []
        assert json_of(command, {})["subject"] == "1400000000"
        assert _id(command, BY_USER, 1) != _id(command, BY_USER, 2)


def test_what_is_disabled_in_an_old_room_has_one_name_whatever_its_page_calls_it() -> None:
    told = [json_of(name, sample(name).body)["data"]["room_info"] for name in ("enterRoom", "updateRoomInfo")]
    assert told[0] == told[1]
    assert told[0]["is_audio_disabled"] is True


def test_the_media_of_a_call_has_one_name_in_table_and_sample() -> None:
    info = {"CallId": "c", "MediaType": "Video", "ChatGroupId": "", "RoomId": 7, "RoomIdType": 1}
    event, drift = _noted("Call.CallbackAfterStartCall", {"CallInfo": info, "UserList": []})
    assert event["data"]["call_info"]["call_media_type"] == "Video"
    assert event["data"]["call_info"]["room_id"] == "7"
    assert drift == []
