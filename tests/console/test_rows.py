"""What the page lists of a record: bounded, and nothing that is hidden."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from bridge.console.hiding import HIDDEN, Hiding
from bridge.console.live_filter import LiveFilter
from bridge.console.rebuilt_callback import callback_of
from bridge.console.record_detail import whole_record
from bridge.console.rows import detail_of_letter, row_of
from bridge.contract.record_line import content_of
from common.kafka.dead_letters import DeadLetter
from tests.console.records import event_record, record

SENT = "C2C.CallbackAfterSendMsg"
SECRET = "a secret between two"
BODY = {
    "From_Account": "bob",
    "To_Account": "ann",
    "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": SECRET}}],
    "CloudCustomData": "visible",
}
NOTHING = Hiding(())


def test_an_event_is_listed_with_what_it_is_about_and_its_first_fields() -> None:
    row = row_of(event_record(SENT, BODY), NOTHING)
    assert (row.kind, row.type, row.subject, row.app) == ("event", "im.c2c.message.sent", "ann", "1400000000")
    assert ("from_account", "bob") in row.fields


def test_what_was_answered_to_a_before_callback_is_listed() -> None:
    value = orjson.dumps({"specversion": "1.0", "type": "t", "decision": "refused", "decisioncode": 120001})
    row = row_of(record(value), NOTHING)
    assert (row.decision, row.decision_code) == ("refused", 120001)


def test_a_dead_letter_is_listed_by_its_reason() -> None:
    row = row_of(record(b"{", ("reason", b"not_json"), ("detail", b"no JSON at 1")), NOTHING)
    assert (row.kind, row.type) == ("letter", "not_json")
    assert ("detail", "no JSON at 1") in row.fields


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"[1]",
        b'{"specversion":1,"type":[],"subject":{},"data":[1]}',
        b'{"specversion":"1.0","data":"text","time":12,"decisioncode":"x","decision":{}}',
        b'{"unread":[],"account":null}',
    ],
)
def test_any_record_has_a_row_and_a_detail(value: bytes | None) -> None:
    assert msgspec.json.encode(row_of(record(value), NOTHING))
    assert msgspec.json.encode(whole_record(record(value), NOTHING))
    assert msgspec.json.encode(row_of(record(value, ("reason", b"\xff"), at_ms=-1), Hiding(["MsgBody"])))


def test_a_row_is_small_whatever_the_record_holds() -> None:
    fields = {f"name-{number}-{'n' * 500}": "v" * 100_000 for number in range(100)}
    value = orjson.dumps({"specversion": "1.0", "type": "t" * 9999, "subject": "s" * 9999, "data": fields})
    assert len(msgspec.json.encode(row_of(record(value, key=b"k" * 9999), NOTHING))) < 4096


def test_hidden_fields_are_seen_nowhere_under_neither_name() -> None:
    hiding = Hiding(["msgbody"])
    raw = orjson.dumps(BODY)
    shown = event_record(SENT, BODY, ("raw-body", raw))
    row = msgspec.json.encode(row_of(shown, hiding))
    detail = msgspec.json.encode(whole_record(shown, hiding))
    assert SECRET.encode() not in row + detail
    assert b"visible" in detail
    assert HIDDEN.encode() in detail


def test_what_is_no_json_is_not_shown_where_something_is_hidden() -> None:
    letter = record(f"no json, {SECRET}".encode(), ("reason", b"not_json"))
    detail = whole_record(letter, Hiding(["MsgBody"]))
    assert SECRET not in msgspec.json.encode(detail).decode()
    assert detail.size == len(letter.value)
    assert SECRET in whole_record(letter, NOTHING).text


def test_bytes_that_are_no_text_are_given_whole_as_base64() -> None:
    detail = whole_record(record(b"\xff\x00"), NOTHING)
    assert (detail.base64, detail.text) == ("/wA=", "\\xff\x00")


TRACEBACK = f"""Traceback (most recent call last):
  File "/opt/worker.py", line 7, in handle
    send(text)
  File "<string>", line 1, in <module>
shop.errors.TextError: {SECRET}
  File "{SECRET}
{SECRET}

During handling of the above exception, another exception occurred:

KeyError: '{SECRET}'"""
QUOTING = (
    ("reason", b"poison"),
    ("group", b"badges"),
    ("detail", f"TextError: {SECRET}".encode()),
    ("traceback", TRACEBACK.encode()),
    ("query", f"CallbackCommand=x&Extra={SECRET}".encode()),
)


def test_what_a_worker_says_of_a_record_quotes_nothing_that_is_hidden() -> None:
    hiding = Hiding(["MsgBody"])
    letter = record(orjson.dumps({"data": {}}), *QUOTING)
    headers = dict(whole_record(letter, hiding).headers)
    assert SECRET not in str(headers) + str(row_of(letter, hiding))
    assert SECRET not in detail_of_letter(DeadLetter(letter), hiding)
    assert not LiveFilter(text=SECRET).admits(letter, hiding)
    assert headers["detail"] == f"TextError: {HIDDEN}"
    assert headers["traceback"].splitlines() == [
        '  File "/opt/worker.py", line 7, in handle',
        '  File "<string>", line 1, in <module>',
        f"shop.errors.TextError: {HIDDEN}",
        f"KeyError: {HIDDEN}",
    ]
    assert headers["reason"] == "poison"
    assert dict(whole_record(letter, NOTHING).headers)["traceback"] == TRACEBACK


@pytest.mark.parametrize("depth", [150, 300, 1000, 5000])
@pytest.mark.parametrize("hiding", [NOTHING, Hiding(["MsgBody"])], ids=["all shown", "some hidden"])
@pytest.mark.parametrize("opening", [("[", "]"), ('{"x_account":', "}")], ids=["lists", "objects"])
def test_a_record_that_is_nested_however_deep_is_listed_opened_and_filtered(
    depth: int, hiding: Hiding, opening: tuple[str, str]
) -> None:
    nested = f"{opening[0] * depth}1{opening[1] * depth}"
    body = f'{{"specversion":"1.0","callbackcommand":"x","subject":"ann","data":{{"deep":{nested}}}}}'.encode()
    for deep in (record(body), record(body, ("reason", b"too_deep")), record(body, ("raw-body", nested.encode()))):
        assert msgspec.json.encode(row_of(deep, hiding))
        assert msgspec.json.encode(whole_record(deep, hiding))
        assert msgspec.json.encode(callback_of(deep, content_of(deep), hiding, url="http://127.0.0.1:1/"))
        LiveFilter(account="bob", text="x").admits(deep, hiding)
        assert LiveFilter(text="deep").admits(deep, NOTHING)


@pytest.mark.parametrize(
    ("chosen", "fits"),
    [
        (LiveFilter(), True),
        (LiveFilter(kind="event"), True),
        (LiveFilter(kind="badge"), False),
        (LiveFilter(type="im.c2c.*"), True),
        (LiveFilter(type="message.sent"), True),
        (LiveFilter(type="im.group.*"), False),
        (LiveFilter(account="ann"), True),
        (LiveFilter(account="bob"), True),
        (LiveFilter(account="an"), False),
        (LiveFilter(app="1400000000"), True),
        (LiveFilter(app="14"), False),
        (LiveFilter(text="SECRET BETWEEN"), True),
        (LiveFilter(text="elsewhere"), False),
        (LiveFilter(account="ann", text="elsewhere"), False),
    ],
)
def test_a_filter_admits_what_fits_all_that_is_given(chosen: LiveFilter, fits: bool) -> None:
    assert chosen.admits(event_record(SENT, BODY), NOTHING) is fits


@pytest.mark.parametrize("name", ["安娜", 'a"b', "a\\b"])
def test_an_account_is_found_however_json_writes_it(name: str) -> None:
    written = event_record(SENT, BODY | {"From_Account": name})
    escaped = record(written.value.replace(name.encode(), orjson.dumps(name)[1:-1]), key=b"ann")
    assert LiveFilter(account=name).admits(escaped, NOTHING)


def test_nobody_can_find_out_by_the_filter_what_is_hidden() -> None:
    hiding = Hiding(["MsgBody"])
    for shown in (
        event_record(SENT, BODY, ("raw-body", orjson.dumps(BODY))),
        record(SECRET.encode(), ("reason", b"not_json")),
    ):
        assert not LiveFilter(text=SECRET).admits(shown, hiding)
        assert LiveFilter(text=SECRET).admits(shown, NOTHING)
