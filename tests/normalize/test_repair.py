"""A body that only a lax reader can read is mended and published; what nobody can read stays unreadable."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.normalize.bounds import MAX_DEPTH, MAX_EXPONENTS
from bridge.normalize.repair import MAX_HALVES, Loaded, UnreadableError, is_plain, load
from tests.support.callbacks import RECALLED, SENT, sample
from tests.support.events import json_of, records_of


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"a":"cut \\ud83d"}', {"a": "cut \ufffd"}),
        (b'{"a":"\\ude00 cut"}', {"a": "\ufffd cut"}),
        (b'{"\\ud83d":1}', {"\ufffd": 1}),
        (b'{"a":"\xed\xa0\xbd\xed\xb8\x80"}', {"a": "\U0001f600"}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        ('{"a":"é"}'.encode("utf-16"), {"a": "é"}),
        (b'{"a":1}\x00\x00', {"a": 1}),
        (b'\x00 {"a":1} \r\n\x00', {"a": 1}),
        (b'{"a":18446744073709551616}', {"a": "18446744073709551616"}),
        (b'{"a":-9223372036854775809}', {"a": "-9223372036854775809"}),
        (b'{"a":[{"b":123456789012345678901234567890}]}', {"a": [{"b": "123456789012345678901234567890"}]}),
        (b'{"a":NaN,"b":Infinity,"c":-Infinity}', {"a": "NaN", "b": "Infinity", "c": "-Infinity"}),
        (b'{"a":1e400}', {"a": "1e400"}),
        (b'{"a":"caf\xe9"}', {"a": "caf\ufffd"}),
        (b'{"a":"cut \xf0\x9f"}', {"a": "cut \ufffd"}),
        (b'{"a":"line\nbreak\x01"}', {"a": "line\nbreak\x01"}),
    ],
)
def test_it_is_mended_and_marked(body: bytes, fields: dict[str, Any]) -> None:
    assert load(body) == Loaded(fields, True)
    event = json_of("New.Thing", body)
    assert event["data"] == fields
    assert event["repaired"] is True


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":1}\r\n ',
        b'{"a":18446744073709551615,"b":-9223372036854775808}',
        b'{"a":"12345678901234567890123"}',
        b'{"a":1.2345678901234567890123}',
        b'{"a":"\\u0000\\ufeff"}',
        b'{"a":1,"a":2}',
    ],
)
def test_what_every_reader_reads_is_not_marked(body: bytes) -> None:
    assert load(body) == Loaded(orjson.loads(body), False)
    assert "repaired" not in json_of("New.Thing", body)


def test_of_a_name_that_occurs_twice_the_last_one_counts() -> None:
    assert json_of(RECALLED, b'{"To_Account":"a","To_Account":"b"}')["subject"] == "b"
    assert json_of("New.Thing", b'{"GroupId":"a","GroupId":"b"}')["data"] == {"GroupId": "b"}


def test_a_documented_body_with_a_cut_emoji_is_a_typed_event() -> None:
    body = sample(f"{SENT}.v3").body.replace(b"Text-50f228", b"smile \\ud83d")
    event = json_of(SENT, body)
    assert event["type"] == "im.c2c.message.sent"
    assert event["repaired"] is True
    assert event["data"]["msg_body"][0]["MsgContent"]["Text"] == "smile \ufffd"
    assert "unknown" not in event["data"]


@pytest.mark.parametrize("inside", [b'"MsgBody":[{"x":%b}]', b'"MsgSeq":%b', b'"New":%b'])
def test_a_number_beyond_64_bits_is_exact_wherever_it_stands(inside: bytes) -> None:
    digits = "123456789012345678901234567890"
    event = json_of(SENT, b'{"To_Account":"a",' + inside % digits.encode() + b"}")
    assert event["repaired"] is True
    assert f'"{digits}"' in orjson.dumps(event["data"]).decode()


def test_numbers_with_long_exponents_are_left_to_a_reader_that_is_quick_with_them() -> None:
    for number in (b"1e300", b"-1.5E-300", b"2e+0300"):
        inside = b"[%b]" % b",".join([number] * (MAX_EXPONENTS + 1))
        body = b'{"To_Account":"a","MsgBody":%b}' % inside
        assert not is_plain(body)
        event = json_of(SENT, body)
        assert event["data"]["msg_body"] == orjson.loads(inside)
        assert "repaired" not in event
    assert is_plain(b'{"MsgBody":[%b]}' % b",".join([b"1e300"] * MAX_EXPONENTS))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("half", [0xD83D, 0xDE00], ids=["first", "second"])
def test_a_body_in_utf_16_may_hold_some_halves_and_any_number_of_pairs(half: int, encoding: str) -> None:
    def body(text: str) -> bytes:
        return f'\ufeff{{"a":"{text}"}}'.encode(encoding, "surrogatepass")

    pairs = "\U0001f600" * (MAX_HALVES + 1)
    assert load(body(pairs)).fields == {"a": pairs}
    assert load(body(chr(half) * MAX_HALVES)).fields == {"a": "\ufffd" * MAX_HALVES}
    with pytest.raises(UnreadableError, match="halves of surrogate pairs"):
        load(body(pairs + chr(half) * (MAX_HALVES + 1)))


def _nested(depth: int) -> bytes:
    return b'{"MsgBody":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize("command", [SENT, RECALLED, "New.Thing", "Push.OfflinePush"])
@pytest.mark.parametrize("depth", [MAX_DEPTH, 250, 1000, 5000, 200_000])
def test_what_is_nested_too_deeply_is_unreadable(command: str, depth: int) -> None:
    with pytest.raises(UnreadableError) as caught:
        records_of(command, _nested(depth))
    assert caught.value.reason == "too_deep"


@pytest.mark.parametrize("command", [SENT, RECALLED, "New.Thing"])
def test_what_is_nested_as_deeply_as_is_allowed_becomes_an_event(command: str) -> None:
    assert json_of(command, _nested(MAX_DEPTH - 1))["callbackcommand"] == command


def test_many_brackets_beside_each_other_and_in_text_are_not_deep() -> None:
    members = [{"Member_Account": "[[[{{{" * 10} for _ in range(6000)]
    body = orjson.dumps({"GroupId": "g", "MemberList": members})
    assert is_plain(body)
    event = json_of("Group.CallbackAfterGroupDestroyed", body)
    assert len(event["data"]["member_list"]) == 6000


def test_a_text_that_is_never_closed_is_found_out_quickly() -> None:
    with pytest.raises(UnreadableError):
        load(b'{"a":"' + b'\\"[' * 300_000)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x00\x00", "empty"),
        (b'\xef\xbb\xbf"text"', "not_an_object"),
        (b"NaN", "not_an_object"),
        (b'{"a":1} {"b":2}', "not_json"),
        (b'{"a":1', "not_json"),
        (b"{'a':1}", "not_json"),
        (b"\xff\xfe", "empty"),
        (b"SdkAppid=1&x=2", "not_json"),
    ],
)
def test_the_rest_is_unreadable(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        load(body)
    assert caught.value.reason == reason


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        orjson.dumps(load(body).fields)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_strict_json_is_read_as_it_is(fields: dict[str, Any]) -> None:
    body = orjson.dumps(fields)
    assert load(body) == Loaded(orjson.loads(body), False)
