"""A message is one, in however different forms its callback and its line in the archive come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.archive.message import ArchivedChat
from tests.consumers.backfill.stand_ins import (
    START_S,
    Archive,
    Index,
    PublishedTopic,
    c2c_line,
    callback_event,
    compare,
    group_line,
    id_of,
    index_in,
)

AT = START_S + 7
LARGE = 2**32 - 5
LINE = c2c_line(7, MsgRandom=LARGE)
KEY = f"7_{LARGE}_{AT}"
CALLBACKS: dict[str, dict[str, Any]] = {
    "documented": {},
    "without MsgKey": {"MsgKey": None},
    "without MsgKey and SendMsgResult": {"MsgKey": None, "SendMsgResult": None},
    "MsgKey alone": {"MsgSeq": None, "MsgRandom": None, "MsgTime": None},
    "numbers as text": {"MsgSeq": "7", "MsgRandom": str(LARGE), "MsgTime": str(AT)},
    "numbers with a fraction": {"MsgSeq": 7.0, "MsgRandom": float(LARGE), "MsgTime": float(AT)},
    "signed": {"MsgRandom": -5, "MsgKey": f"7_-5_{AT}"},
    "signed without MsgKey": {"MsgRandom": -5, "MsgKey": None},
    "a key with zeros in front": {"MsgKey": f"0007_{LARGE}_{AT}"},
    "without MsgKey and MsgRandom": {"MsgKey": None, "MsgRandom": None},
    "result as text": {"SendMsgResult": "0"},
}
LINES: dict[str, dict[str, Any]] = {
    "documented": {},
    "with MsgKey": {"MsgKey": KEY},
    "an empty MsgKey": {"MsgKey": ""},
    "MsgKey alone": {"MsgKey": KEY, "MsgSeq": None, "MsgRandom": None},
    "without MsgRandom": {"MsgRandom": None},
    "with MsgKey and without MsgRandom": {"MsgKey": KEY, "MsgRandom": None},
    "numbers as text": {"MsgSeq": "7", "MsgRandom": str(LARGE), "MsgTimestamp": str(AT)},
    "zeros in front": {"MsgSeq": "007", "MsgRandom": f"0{LARGE}", "MsgTimestamp": f"0{AT}"},
    "numbers with a fraction": {"MsgSeq": 7.0, "MsgRandom": float(LARGE), "MsgTimestamp": float(AT)},
    "signed": {"MsgRandom": -5},
    "signed with MsgKey": {"MsgRandom": -5, "MsgKey": f"7_-5_{AT}"},
    "a key with zeros in front": {"MsgKey": f"007_{LARGE}_{AT}"},
    "milliseconds": {"MsgTimestamp": AT * 1000 + 999},
    "the name of the other API": {"MsgTimestamp": None, "MsgTimeStamp": AT},
}
WEAK = {"without MsgRandom"}
KEYS_OF_OTHER_FORM = {"signed with MsgKey", "a key with zeros in front"}
"""The id is that of the MsgKey that the line has, as it is: nobody knows in which form its callback would have it."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with index_in(tmp_path) as found:
        yield found


def line_of(form: str) -> dict[str, Any]:
    return {name: value for name, value in {**LINE, **LINES[form]}.items() if value is not None}


@pytest.mark.parametrize("callback", CALLBACKS)
async def test_a_one_to_one_message_that_came_is_known_whatever_form_its_line_has(index: Index, callback: str) -> None:
    index.add([callback_event(LINE, **CALLBACKS[callback])])
    for form in LINES:
        count = await compare(index, Archive([line_of(form)]))
        assert (count.there, count.missing) == (1, 0), form


@pytest.mark.parametrize("form", LINES)
async def test_a_one_to_one_message_that_is_missing_gets_the_documented_callbacks_id(index: Index, form: str) -> None:
    topic = PublishedTopic()
    count = await compare(index, Archive([line_of(form)]), topic=topic)
    assert (count.published, count.weak) == (1, form in WEAK)
    (event,) = topic.events
    if form not in WEAK | KEYS_OF_OTHER_FORM:
        assert event["id"] == id_of(callback_event(LINE))
    (record,) = topic.records
    assert record.key == b"user2"
    assert record.value is not None
    index.add([record.value])
    for other in LINES:
        again = await compare(index, Archive([line_of(other)]), topic=topic)
        assert again.missing == 0, f"published for {form}, and asked for in the form {other}"


GROUP = group_line(7)
GROUP_CALLBACKS: dict[str, dict[str, Any]] = {
    "documented": {"Random": LARGE},
    "random as text": {"Random": str(LARGE)},
    "signed": {"Random": -5},
    "without Random": {"Random": None},
    "numbers as text": {"Random": LARGE, "MsgSeq": "7", "MsgTime": str(AT)},
    "within a topic": {"Random": LARGE, "TopicId": "@TOPIC#1"},
    "of an online member": {"Random": LARGE, "OnlineOnlyFlag": 1},
}
GROUP_LINES: dict[str, dict[str, Any]] = {
    "documented": {},
    "with Random": {"Random": LARGE},
    "with MsgRandom": {"MsgRandom": LARGE},
    "signed": {"Random": -5},
    "random as text": {"MsgRandom": str(LARGE)},
    "MsgSeq as text": {"MsgSeq": "7"},
    "zeros in front": {"MsgSeq": "007", "Random": f"0{LARGE}"},
    "a random that is none": {"MsgRandom": "x"},
    "with Random, within a topic": {"Random": LARGE, "TopicId": "@TOPIC#1"},
}


@pytest.mark.parametrize("callback", GROUP_CALLBACKS)
async def test_a_message_of_a_group_that_came_is_known_whatever_form_its_line_has(index: Index, callback: str) -> None:
    index.add([callback_event(GROUP, **GROUP_CALLBACKS[callback])])
    for form, changes in GROUP_LINES.items():
        if callback == "without Random" and "TopicId" in changes:
            continue  # A callback that tells neither might be of any topic.
        count = await compare(index, Archive([GROUP | changes], chat="group"), "group")
        assert (count.there, count.missing) == (1, 0), form


@pytest.mark.parametrize("form", [form for form, changes in GROUP_LINES.items() if "Random" in str(changes)])
async def test_a_message_of_a_group_with_random_that_is_missing_gets_its_callbacks_id(index: Index, form: str) -> None:
    topic = PublishedTopic()
    changes = GROUP_LINES[form]
    await compare(index, Archive([GROUP | changes], chat="group"), "group", topic)
    (event,) = topic.events
    if changes.get("MsgRandom") == "x":
        assert event["weakidentity"] is True
        assert event["data"]["unknown"] == {"MsgRandom": "x"}
        return
    live = callback_event(GROUP, Random=LARGE, **({"TopicId": "@TOPIC#1"} if "TopicId" in changes else {}))
    assert event["id"] == id_of(live)


@pytest.mark.parametrize("chat", ["c2c", "group"])
async def test_accounts_that_are_numbers_are_the_callbacks(index: Index, chat: ArchivedChat) -> None:
    to = "To_Account" if chat == "c2c" else "GroupId"
    line = {**(LINE if chat == "c2c" else GROUP), "From_Account": 86138, to: 4711}
    index.add([callback_event({**line, "From_Account": "86138", to: "4711"})])
    count = await compare(index, Archive([line], chat=chat), chat)
    assert (count.there, count.missing) == (1, 0)


async def test_messages_of_one_batch_to_oneself_and_by_the_administrator_are_each_their_own(index: Index) -> None:
    batch = [{**LINE, "From_Account": "administrator", "To_Account": to} for to in ("ann", "bob", "eve")]
    to_oneself = [{**LINE, "From_Account": "ann", "To_Account": "ann"}]
    lines = [*batch, *to_oneself]
    index.add([callback_event(batch[1])])
    topic = PublishedTopic()
    count = await compare(index, Archive(lines), topic=topic)
    assert (count.there, count.published, count.repeated) == (1, 3, 0)
    wanted = [id_of(callback_event(line)) for line in (batch[0], batch[2], to_oneself[0])]
    assert [event["id"] for event in topic.events] == wanted
