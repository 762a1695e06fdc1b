"""Bodies that hold several events."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.normalize.repair import UnreadableError
from tests.support.callbacks import sample
from tests.support.events import DLQ, EVENTS, Noted, checked_event, event_of, records_of


def test_a_batch_becomes_one_event_for_each_item() -> None:
    callback = sample("Push.OfflinePush")
    records = records_of(callback.command, callback.body)
    assert [record.key for record in records] == [b"u-20931", b"sun.hao"]
    first, second = (checked_event(record) for record in records)
    assert first["time"] == "2025-10-14T14:38:55.000Z"
    assert (first["data"]["chat_type"], first["data"]["msg_key"]) == (1, "992690_2696768249_1765402240")
    assert second["data"]["group_id"] == "@TGS#D64413413"
    assert first["id"] != second["id"]


@pytest.mark.parametrize("command", ["Push.OfflinePush", "Push.AllMemberPush", "push.offlinepush"])
def test_each_item_of_a_batch_is_an_event_of_the_command_that_it_names(command: str) -> None:
    names = ["Push.AllMemberPush.v1", "Push.OfflinePush", "Push.AllMemberPush.v1"]
    items = [sample(name).json["Events"][0] for name in names]
    drift = Noted()
    events = [checked_event(record) for record in records_of(command, {"Events": items}, drift=drift)]
    assert [event["callbackcommand"] for event in events] == [item["CallbackCommand"] for item in items]
    assert [event["type"].split(".")[2] for event in events] == ["all_member_push", "offline_push", "all_member_push"]
    assert all("bodycommand" not in event and "unknown" not in event["data"] for event in events)
    assert not drift.items
    alone = event_of("Push.AllMemberPush", {"Events": items[:1]})
    assert events[0]["id"] == events[2]["id"] == alone.id


def test_an_item_of_a_batch_that_names_no_batch_is_of_the_command_of_the_url() -> None:
    item = sample("Push.OfflinePush").json["Events"][0]
    for name in ("C2C.CallbackAfterSendMsg", "Push.New"):
        event = event_of("Push.OfflinePush", {"Events": [item | {"CallbackCommand": name}]})
        assert (event.callbackcommand, event.bodycommand) == ("Push.OfflinePush", name)


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


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\u0045vents":[{"To_Account":"a"},{"To_Account":"b"}]}',
        '\ufeff{"Events":[{"To_Account":"a"},{"To_Account":"b"}]}'.encode("utf-16-le"),
        '\ufeff{"Events":[{"To_Account":"a"},{"To_Account":"b"}]}'.encode("utf-16-be"),
    ],
    ids=["escaped", "little-endian", "big-endian"],
)
def test_a_batch_is_one_in_whatever_way_its_name_is_written(body: bytes) -> None:
    assert [record.key for record in records_of("Push.OfflinePush", body)] == [b"a", b"b"]


def test_a_batch_that_needed_repair_marks_all_of_its_events() -> None:
    body = b'{"Events":[{"To_Account":"a"},{"To_Account":"b\\ud83d"}]}'
    first, second = (checked_event(record) for record in records_of("Push.OfflinePush", body))
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
