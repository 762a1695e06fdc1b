"""What records of the topic and dead letters say of sent messages."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from bridge.events import c2c, group
from consumers.archive.message import read_message
from consumers.backfill.hour_comparison import keys_of
from consumers.backfill.identity import DOCUMENTED, CallbackFields
from consumers.backfill.topic_messages import FoundMessage, message_in_event, message_in_letter
from tests.consumers.backfill.stand_ins import c2c_line, callback_event, group_line
from tests.support.callbacks import APP_ID, recalled
from tests.support.events import normalizer, received, records_of

C2C, GROUP = c2c.MessageSent.callback.command, group.MessageSent.callback.command


def consumed(key: bytes, value: bytes | None, headers: Any = ()) -> ConsumerRecord:
    return ConsumerRecord("im.events.dlq", 0, 7, 1, 0, key, value, None, 0, 0, tuple(headers))


def letter(command: str, body: bytes) -> ConsumerRecord:
    """The dead letter that the ingress makes of a body."""
    made = normalizer().dead_letter(received(command, body), "not_json", "it was cut off")
    return consumed(made.key, made.value, made.headers)


def knows(found: FoundMessage | None, line: dict[str, Any]) -> bool:
    """Whether a line of the archive is found by that."""
    keys = keys_of(read_message(orjson.dumps(line), "c2c" if "To_Account" in line else "group", APP_ID), DOCUMENTED)
    return found is not None and not set(found.keys).isdisjoint(keys.looked_up)


def callback(line: dict[str, Any]) -> dict[str, Any]:
    return {("MsgTime" if name == "MsgTimestamp" else name): value for name, value in line.items()}


@pytest.mark.parametrize("line", [c2c_line(3), group_line(3)], ids=["c2c", "group"])
def test_an_event_is_found_however_its_json_is_written(line: dict[str, Any]) -> None:
    value = callback_event(line)
    anew = json.dumps(dict(reversed(orjson.loads(value).items())), indent=1, ensure_ascii=True).encode()
    assert knows(message_in_event(value), line)
    assert knows(message_in_event(anew), line)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff.message.sent",
        b'{"type":"im.c2c.message.sent"}',
        b'[".message.sent"]',
        b'{"id":"1","source":"/tencent-im/1","type":"im.official_account.message.sent","data":{}}',
        records_of(recalled("ann").command, recalled("ann").body)[0].value,
    ],
    ids=["tombstone", "empty", "damaged", "no event", "a list", "of another family", "of another type"],
)
def test_what_is_no_event_of_a_message_is_passed_over(value: bytes | None) -> None:
    assert message_in_event(value) is None


def test_the_form_of_a_callback_is_told_but_not_by_what_was_backfilled() -> None:
    found = message_in_event(callback_event(c2c_line(1), SendMsgResult=None))
    assert found is not None
    assert found.form == CallbackFields(has_key=True, has_result=False)
    marked = orjson.dumps({**orjson.loads(callback_event(c2c_line(1))), "backfilled": True})
    backfilled = message_in_event(marked)
    assert backfilled is not None
    assert backfilled.form is None


@pytest.mark.parametrize(("command", "line"), [(C2C, c2c_line(3)), (GROUP, group_line(3))], ids=["c2c", "group"])
@pytest.mark.parametrize("cut", [0, 9], ids=["whole", "cut off"])
def test_the_callback_in_a_dead_letter_is_known(command: str, line: dict[str, Any], cut: int) -> None:
    body = orjson.dumps({**callback(line), "MsgBody": [{"Text": 'a quote: "MsgSeq":99 '}], "End": 123456})
    assert knows(message_in_letter(letter(command, body[: len(body) - cut])), line)


def test_numbers_of_a_dead_letter_may_be_text_and_names_in_any_case() -> None:
    line = c2c_line(3)
    body = {name.lower(): str(value) for name, value in callback(line).items() if name != "MsgBody"}
    assert knows(message_in_letter(letter(C2C.lower(), orjson.dumps(body))), line)


def test_an_event_that_a_worker_gave_up_is_known() -> None:
    line = c2c_line(3)
    found = message_in_letter(consumed(b"ann", callback_event(line), [("group", b"badges")]))
    assert knows(found, line)


@pytest.mark.parametrize(
    ("command", "body"),
    [(C2C, b""), (C2C, b"\xff\xfe"), (C2C, b"[]"), ("State.StateChange", b"{}"), ("", b"{}")],
    ids=["empty", "no text", "a list", "of another command", "of none"],
)
def test_a_dead_letter_that_names_no_message_stands_for_none(command: str, body: bytes) -> None:
    found = message_in_letter(letter(command, body))
    assert not knows(found, c2c_line(3))
    assert not knows(found, group_line(3))


def test_a_dead_letter_of_a_failed_delivery_stands_for_no_message() -> None:
    body = orjson.dumps({**callback(c2c_line(3)), "SendMsgResult": 20006})
    assert message_in_letter(letter(C2C, body)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"msg_time": "soon"},
        {"msg_seq": [1]},
        {"from_account": 5, "to_account": None},
        {"send_msg_result": {}},
        {"x": 1},
    ],
    ids=str,
)
def test_an_event_whose_data_another_version_wrote_is_known_by_its_id(changes: dict[str, Any]) -> None:
    line = c2c_line(3)
    event = orjson.loads(callback_event(line))
    event["data"] |= changes
    assert knows(message_in_event(orjson.dumps(event)), line)
    assert knows(message_in_event(orjson.dumps({**event, "data": None, "new": 1})), line)


@pytest.mark.parametrize("change", [{"id": 5}, {"source": None}, {"type": []}], ids=str)
def test_what_has_no_envelope_of_an_event_is_passed_over(change: dict[str, Any]) -> None:
    event = {**orjson.loads(callback_event(c2c_line(3))), **change}
    assert message_in_event(orjson.dumps(event)) is None
