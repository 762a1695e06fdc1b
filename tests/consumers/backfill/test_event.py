"""The event of an archived message is the one that its callback would have become."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.samples import Sample, samples
from bridge.events import c2c, group, parse_event
from bridge.events.base import SCHEMA_BASE, Event
from bridge.journal.record import Record
from common.timestamps import rfc3339
from consumers.archive.message import ArchivedChat, ArchivedMessage, read_message
from consumers.backfill.event import EventMaker
from consumers.backfill.identity import DOCUMENTED, CallbackFields
from tests.consumers.backfill.stand_ins import value_of
from tests.support.callbacks import APP_ID
from tests.support.events import checked_event, event_of

C2C, GROUP = c2c.MessageSent.callback.command, group.MessageSent.callback.command
NOW_MS = 1_764_400_000_000
SAMPLES = [name for name, sample in samples().items() if sample.command in {C2C, GROUP}]
IN_UTF8 = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
UNSIGNED = st.integers(0, 2**32 - 1)
SECONDS = st.integers(1, 4_000_000_000)


def line_of(callback: dict[str, Any]) -> dict[str, Any]:
    """What the archive has of the message of a callback; of a group with the Random that newer lines may have."""
    renamed = {"MsgTime": "MsgTimestamp", "Random": "MsgRandom"}
    both = ("From_Account", "To_Account", "GroupId", "MsgSeq", "MsgRandom", "Random", "MsgTime", "MsgBody", "TopicId")
    kept = (*both, "MsgKey", "CloudCustomData")
    return {renamed.get(name, name): callback[name] for name in kept if name in callback}


def message(line: dict[str, Any], chat: ArchivedChat) -> ArchivedMessage:
    return read_message(orjson.dumps(line), chat, APP_ID)


def made(line: dict[str, Any], chat: ArchivedChat, form: CallbackFields = DOCUMENTED, **settings: Any) -> Event:
    """The event of a line, as whoever reads the topic has it."""
    record = EventMaker(schema_base=SCHEMA_BASE, **settings).record(message(line, chat), form, now_ms=NOW_MS)
    checked_event(Record("im.events", record.key, value_of(record), list(record.headers), NOW_MS))
    event = parse_event(value_of(record))
    assert record.key.decode() == event.subject
    return event


def assert_is_that_of(callback: dict[str, Any], event: Event) -> None:
    """Whoever knows the event of the callback knows the backfilled one."""
    live = event_of(C2C if "To_Account" in callback else GROUP, callback)
    names = ("id", "type", "source", "subject", "callbackcommand", "dataschema", "specversion", "datacontenttype")
    assert [getattr(event, name) for name in names] == [getattr(live, name) for name in names]
    assert event.backfilled
    for field in ("from_account", "msg_seq", "msg_random", "msg_time", "msg_body", "cloud_custom_data"):
        assert getattr(event.data, field) == getattr(live.data, field), field


@pytest.mark.parametrize("name", SAMPLES)
def test_a_documented_callback_and_its_line_become_one_event(name: str) -> None:
    sample: Sample = samples()[name]
    callback = orjson.loads(sample.body)
    form = CallbackFields("MsgKey" in callback, "SendMsgResult" in callback)
    assert_is_that_of(callback, made(line_of(callback), "c2c" if sample.command == C2C else "group", form))


@given(
    sender=IN_UTF8,
    receiver=IN_UTF8,
    seq=UNSIGNED,
    random=UNSIGNED,
    seconds=SECONDS,
    text=st.text(st.characters(exclude_categories=["Cs"])),
    has_key=st.booleans(),
)
def test_any_one_to_one_message_has_the_id_of_its_callback(
    *, sender: str, receiver: str, seq: int, random: int, seconds: int, text: str, has_key: bool
) -> None:
    numbers = {"MsgSeq": seq, "MsgRandom": random, "MsgTime": seconds}
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
    people = {"From_Account": sender, "To_Account": receiver}
    callback = {**people, **numbers, "MsgKey": f"{seq}_{random}_{seconds}", "SendMsgResult": 0, "MsgBody": body}
    line = line_of(callback)
    if not has_key:
        del line["MsgKey"]
    event = made(line, "c2c")
    assert_is_that_of(callback, event)
    assert event.weakidentity is None


@given(sender=IN_UTF8, to=IN_UTF8, seq=UNSIGNED, random=UNSIGNED, seconds=SECONDS, topic=st.none() | IN_UTF8)
def test_any_message_of_a_group_whose_line_has_random_has_the_id_of_its_callback(
    *, sender: str, to: str, seq: int, random: int, seconds: int, topic: str | None
) -> None:
    callback: dict[str, Any] = {"GroupId": to, "From_Account": sender, "Random": random, "MsgSeq": seq}
    callback |= {"MsgTime": seconds, "MsgBody": [], **({} if topic is None else {"TopicId": topic})}
    event = made(line_of(callback), "group")
    assert_is_that_of(callback, event)
    assert event.weakidentity is None


def test_of_a_group_message_without_random_the_event_says_that_its_id_is_not_the_callbacks() -> None:
    line = {"GroupId": "g", "From_Account": "ann", "MsgSeq": 5, "MsgTimestamp": 1_764_321_807, "MsgBody": []}
    event = made(line, "group")
    assert event.weakidentity is True
    assert event.id == made({**line, "MsgBody": [1]}, "group").id, "the same each time"
    others = ({"GroupId": "h"}, {"From_Account": "bob"}, {"MsgSeq": 6}, {"MsgTimestamp": 1_764_321_808})
    assert len({event.id, *(made({**line, **other}, "group").id for other in others)}) == 5


def test_what_only_the_callback_tells_is_absent_and_what_the_archive_tells_is_there() -> None:
    line = {"From_Account": "ann", "To_Account": "bob", "MsgSeq": 1, "MsgRandom": 2, "MsgTimestamp": 1_764_321_807}
    more = {"MsgBody": [], "MsgFromPlatform": "iOS", "ClientIP": "203.0.113.9", "CloudCustomData": "c", "New": {"a": 1}}
    event = made({**line, **more}, "c2c")
    assert (event.time.timestamp(), event.platform, event.clientip) == (1_764_321_807, "ios", "203.0.113.9")
    assert event.receivedtime.isoformat() == rfc3339(NOW_MS).replace(".000Z", "+00:00")
    data = event.data
    assert (data.msg_key, data.cloud_custom_data, data.unknown) == ("1_2_1764321807", "c", {"New": {"a": 1}})
    assert (data.unread_total, data.send_msg_result, data.online_only, event.decision) == (None, None, None, None)


@pytest.mark.parametrize(
    ("field", "value"), [("MsgBody", "text"), ("CloudCustomData", 5), ("MsgFromPlatform", 7), ("ClientIP", [])]
)
def test_a_field_of_another_type_is_passed_on_and_costs_no_message(field: str, value: Any) -> None:
    line = {"From_Account": "ann", "To_Account": "bob", "MsgSeq": 1, "MsgRandom": 2, "MsgTimestamp": 3}
    assert made({**line, field: value}, "c2c").data.unknown == {field: value}


def test_numbers_that_not_every_reader_takes_become_text() -> None:
    raw = b'{"From_Account":"a","To_Account":"b","MsgSeq":1,"MsgRandom":2,"MsgTimestamp":3,"MsgBody":[%s]}'
    body = b"123456789012345678901234567890,9223372036854775807,1.5"
    record = EventMaker(schema_base=SCHEMA_BASE).record(read_message(raw % body, "c2c", APP_ID), DOCUMENTED, now_ms=1)
    event = parse_event(value_of(record))
    assert event.data.msg_body == ["123456789012345678901234567890", 9223372036854775807, 1.5]


def test_fields_that_must_not_reach_the_topic_do_not() -> None:
    line = {"From_Account": "ann", "To_Account": "bob", "MsgSeq": 1, "MsgRandom": 2, "MsgTimestamp": 3}
    content = {"MsgBody": [{"MsgContent": {"Text": "secret"}}], "CloudCustomData": "secret", "Other": {"MsgBody": "s"}}
    record = EventMaker(schema_base=SCHEMA_BASE, drop_fields=["msgbody", "CloudCustomData", "MsgKey"]).record(
        message({**line, **content}, "c2c"), DOCUMENTED, now_ms=1
    )
    assert b"secret" not in value_of(record)
    event = parse_event(value_of(record))
    assert (event.data.msg_body, event.data.msg_key, event.data.unknown) == (None, None, {"Other": {}})


def test_a_receiver_that_is_no_name_is_no_key_as_of_the_callback() -> None:
    callback = {"From_Account": "ann", "To_Account": "b\n", "MsgSeq": 1, "MsgRandom": 2, "MsgTime": 3}
    callback |= {"MsgKey": "1_2_3", "SendMsgResult": 0, "MsgBody": []}
    event = made(line_of(callback), "c2c")
    assert_is_that_of(callback, event)
    assert event.subject == APP_ID
