"""Content that must not be kept reaches neither disk nor topic; the original is kept where it is asked for."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from bridge.normalize.received import Received
from bridge.normalize.redaction import FieldFilter
from bridge.normalize.repair import UnreadableError
from bridge.query import parse_query
from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import NOON_NS, json_of, normalizer, received, records_of

DROPPED = {"drop_fields": ["MsgBody", " cloudcustomdata ", ""]}
MESSAGE = sample(f"{SENT}.v3").json | {"CloudCustomData": "private", "MsgBody": [{"Text": "private"}]}


def test_dropped_fields_are_in_no_event_and_all_else_is() -> None:
    whole, kept = json_of(SENT, MESSAGE), json_of(SENT, MESSAGE, **DROPPED)
    assert whole["data"].keys() - kept["data"].keys() == {"msg_body", "cloud_custom_data"}
    assert whole["id"] == kept["id"]
    assert kept["data"]["msg_key"] == MESSAGE["MsgKey"]


@pytest.mark.parametrize(
    "body",
    [
        {"New": {"deep": [{"MsgBody": "private"}]}},
        {"msgbody": "private", "To_Account": "a"},
        {"MsgBody": {"a": "private"}, "MsgSeq": "7"},
    ],
)
@pytest.mark.parametrize("command", [SENT, "New.Thing"])
def test_they_are_dropped_at_any_depth_in_any_case_and_from_any_command(command: str, body: dict[str, Any]) -> None:
    (record,) = records_of(command, body, keep_raw=True, **DROPPED)
    assert b"private" not in _everything(record)


def test_they_are_dropped_from_every_item_of_a_batch() -> None:
    items = [{"To_Account": name, "MsgBody": "private"} for name in "ab"]
    for record in records_of("Push.OfflinePush", {"Events": items}, keep_raw=True, **DROPPED):
        assert b"private" not in _everything(record)


def test_a_repaired_body_is_filtered_and_still_marked() -> None:
    event = json_of(SENT, b'{"To_Account":"a\\ud83d","MsgBody":"private"}', **DROPPED)
    assert event["repaired"] is True
    assert event["data"] == {"to_account": "a\ufffd"}


def test_a_dead_letter_has_the_body_without_them() -> None:
    letter = normalizer(**DROPPED).dead_letter(received(SENT, MESSAGE), "stale_time", "late")
    assert b"private" not in letter.value
    assert orjson.loads(letter.value)["MsgKey"] == MESSAGE["MsgKey"]


def test_a_body_that_nobody_can_read_is_kept_by_its_size_and_hash_only() -> None:
    body = b'{"MsgBody":"private'
    callback = received(SENT, body)
    with pytest.raises(UnreadableError):
        normalizer(**DROPPED).event(callback)
    letter = normalizer(**DROPPED).dead_letter(callback, "not_json", "it ends too early")
    assert letter.value == b""
    headers = dict(letter.headers)
    assert headers["body-bytes"] == b"19"
    assert headers["body-sha256"] == hashlib.sha256(body).hexdigest().encode()
    assert b"private" not in _everything(letter)


def test_without_dropped_fields_a_dead_letter_has_the_exact_bytes() -> None:
    letter = normalizer().dead_letter(received(SENT, b"\xff\x00{"), "not_json", "odd \ud83d")
    assert letter.value == b"\xff\x00{"
    assert letter.key == b"1400000000"
    assert dict(letter.headers)["reason"] == b"not_json"


def test_the_original_is_kept_where_it_is_asked_for() -> None:
    body = sample(f"{RECALLED}.v1").body
    (record,) = records_of(RECALLED, body, keep_raw=True)
    headers = dict(record.headers)
    assert headers["raw-body"] == body
    assert headers["raw-query"].startswith(b"SdkAppid=1400000000&CallbackCommand=C2C.CallbackAfterMsgWithDraw&")
    (plain,) = records_of(RECALLED, body)
    assert "raw-body" not in dict(plain.headers)


@pytest.mark.parametrize("name", ["Sign", "RequestTime"])
def test_neither_an_event_nor_a_dead_letter_proves_that_it_is_authentic(name: str) -> None:
    callback = received(RECALLED, sample(f"{RECALLED}.v1").body)
    (event,) = normalizer(keep_raw=True).event(callback)
    letter = normalizer().dead_letter(callback, "odd", "odd")
    for query in (dict(event.headers)["raw-query"], dict(letter.headers)["query"]):
        assert query
        assert name.encode() not in query


def test_a_query_that_is_no_unicode_is_kept_as_far_as_it_is() -> None:
    callback = Received(parse_query("SdkAppid=1&x=\udcff"), b"{", NOON_NS)
    assert dict(normalizer().dead_letter(callback, "odd", "odd").headers)["query"] == b"SdkAppid=1&x=?"


def test_an_empty_filter_is_not_active() -> None:
    assert not FieldFilter([]).is_active
    assert not FieldFilter([""]).is_active
    callback = Received(parse_query("sdkappid=1"), b"{}", NOON_NS)
    assert normalizer(drop_fields=[""]).event(callback)


def _everything(record: Any) -> bytes:
    return b"".join([record.key, record.value, *(value for _, value in record.headers)])
