"""A line of the archive as a message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumers.archive.message import UnreadableLineError, read_message

DOCUMENTED: dict[str, Any] = {
    "From_Account": "ann",
    "To_Account": "bob",
    "MsgTimestamp": 1_448_974_800,
    "MsgSeq": 12,
    "MsgRandom": 34,
    "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hé"}}],
}
NEWER = {"MsgFromPlatform": "Android", "ClientIP": "203.0.113.7", "MsgKey": "12_34_1448974800", "CloudCustomData": "x"}


def line(**changes: Any) -> bytes:
    fields = {**DOCUMENTED, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}, ensure_ascii=False).encode()


def test_a_message_has_what_its_line_has() -> None:
    message = read_message(line(**NEWER, New={"a": [1]}), "c2c", "1400000000")
    assert (message.chat, message.app_id, message.repaired) == ("c2c", "1400000000", False)
    assert (message.from_account, message.to_account, message.group_id) == ("ann", "bob", None)
    assert (message.timestamp, message.seq, message.random) == (1_448_974_800, 12, 34)
    assert (message.platform, message.client_ip, message.cloud_custom_data) == ("Android", "203.0.113.7", "x")
    assert json.loads(bytes(message.body)) == DOCUMENTED["MsgBody"]
    assert message.raw == line(**NEWER, New={"a": [1]})
    assert message.fields()["New"] == {"a": [1]}


def test_the_key_of_a_one_to_one_message_is_that_of_its_callback() -> None:
    assert read_message(line(), "c2c", "1").c2c_msg_key == "12_34_1448974800"
    assert read_message(line(MsgKey="1_2_3"), "c2c", "1").c2c_msg_key == "1_2_3"
    assert read_message(line(MsgKey=""), "c2c", "1").c2c_msg_key == "12_34_1448974800"
    assert read_message(line(MsgRandom=...), "c2c", "1").c2c_msg_key is None
    assert read_message(line(GroupId="g"), "group", "1").c2c_msg_key is None


def test_a_message_of_a_group_needs_no_random() -> None:
    message = read_message(line(To_Account=..., MsgRandom=..., GroupId="@TGS#1"), "group", "1")
    assert (message.group_id, message.to_account, message.random) == ("@TGS#1", None, None)


def test_fields_of_the_line_cannot_pretend_to_be_ours() -> None:
    message = read_message(
        line(chat="group", app_id="2", raw="x", repaired=True).replace(b'"chat"', b'" chat"'), "c2c", "1"
    )
    assert (message.chat, message.app_id, message.repaired) == ("c2c", "1", False)


@pytest.mark.parametrize(
    "changes",
    [
        {"MsgSeq": "12", "MsgRandom": "34", "MsgTimestamp": "1448974800"},
        {"MsgTimestamp": 1_448_974_800.0},
        {"MsgSeq": "0012", "MsgRandom": "034"},
        {"MsgSeq": "12.0", "MsgTimestamp": "01448974800"},
        {"MsgTimestamp": 1_448_974_800_123},
        {"MsgTimestamp": "1448974800123"},
    ],
)
def test_numbers_may_be_written_in_other_forms(changes: dict[str, Any]) -> None:
    assert read_message(line(**changes), "c2c", "1").c2c_msg_key == "12_34_1448974800"


@pytest.mark.parametrize("name", ["MsgKey", "MsgFromPlatform", "ClientIP", "CloudCustomData"])
@pytest.mark.parametrize("value", [7, {"a": 1}, None])
def test_a_message_is_read_though_a_field_that_it_can_do_without_has_another_type(name: str, value: Any) -> None:
    written = line(**{name: value})
    message = read_message(written, "c2c", "1")
    assert message.c2c_msg_key == "12_34_1448974800"
    assert message.raw == written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\xff", "\ufffd"),
        (rb"\ud83d", "\ufffd"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (b"\xe4\xbd", "\ufffd"),
        (b"\xed\xa0\xbd\xed\xb8\x80", "\U0001f600"),
        (b"\xed\xa0\xbd", "\ufffd"),
    ],
)
def test_what_is_no_unicode_is_repaired_as_in_a_callback(text: bytes, expected: str) -> None:
    message = read_message(line(MsgBody=[{"Text": "?"}], From_Account="?").replace(b"?", text), "c2c", "1")
    assert json.loads(bytes(message.body)) == [{"Text": expected}]
    assert message.from_account == expected
    assert message.repaired == (expected == "\ufffd" or b"\xed" in text)
    assert message.fields()["MsgBody"] == [{"Text": expected}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"NaN", "NaN"), (b"-Infinity", "-Infinity"), (b"1e999", "1e999"), (b'"a\tb"', "a\tb")],
)
def test_what_only_a_lax_reader_takes_is_mended_as_in_a_callback(text: bytes, expected: str) -> None:
    message = read_message(line(MsgBody=[{"Text": 17}]).replace(b"17", text), "c2c", "1")
    assert message.fields()["MsgBody"] == [{"Text": expected}]
    assert message.c2c_msg_key == "12_34_1448974800"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"hello", "no JSON"),
        (b"[1]", "no message"),
        (b'{"a":' * 100_000, "more than 128 levels deep"),
        (line(MsgBody=[5]).replace(b"5", b"[" * 127 + b"]" * 127), "more than 128 levels deep"),
        (b"{}", "From_Account"),
        (line(From_Account=""), "From_Account"),
        (line(From_Account=...), "From_Account"),
        (line(To_Account=...), "To_Account"),
        (line(To_Account=""), "To_Account"),
        (line(To_Account=[5]), "To_Account"),
        (line(From_Account=True), "From_Account"),
        (line(From_Account=0.5), "From_Account"),
        (line(MsgTimestamp=...), "MsgTimestamp"),
        (line(MsgTimestamp=-1), "MsgTimestamp"),
        (line(MsgTimestamp=10**15), "MsgTimestamp"),
        (line(MsgSeq=...), "MsgSeq"),
        (line(MsgSeq=None), "MsgSeq"),
        (line(MsgSeq=10**30), "MsgSeq"),
        (line(MsgSeq=2**63), "MsgSeq"),
        (line(MsgSeq="9" * 30), "MsgSeq"),
        (line(MsgSeq=17).replace(b"17", b"9" * 5000), "MsgSeq"),
        (line(MsgSeq=17).replace(b"17", b"1e309"), "MsgSeq"),
        (line() + line(), "no JSON"),
        (line() + b"\xff", "no JSON"),
    ],
)
def test_a_line_that_is_no_message_says_why(written: bytes, says: str) -> None:
    with pytest.raises(UnreadableLineError, match=says) as caught:
        read_message(written, "c2c", "1")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"MsgTimestamp": ..., "MsgTimeStamp": 1_448_974_800},
        {"MsgTimestamp": ..., "MsgTime": 1_448_974_800},
        {"MsgSeq": ..., "msgseq": 12, "MsgRandom": ..., "MSGRANDOM": "34"},
        {"MsgSeq": ..., "MsgRandom": ..., "MsgTimestamp": ..., "MsgKey": "12_34_1448974800"},
        {"MsgSeq": None, "MsgKey": "12_34_1448974800"},
    ],
)
def test_names_in_other_forms_are_understood(changes: dict[str, Any]) -> None:
    message = read_message(line(**changes), "c2c", "1")
    assert (message.seq, message.random, message.timestamp) == (12, 34, 1_448_974_800)
    assert message.c2c_msg_key == "12_34_1448974800"


def test_accounts_and_groups_may_be_numbers_as_in_a_callback() -> None:
    message = read_message(line(From_Account=5, To_Account=86_138.0), "c2c", "1")
    assert (message.from_account, message.to_account) == ("5", "86138")
    assert message.fields()["From_Account"] == "5"
    group = read_message(line(To_Account=..., GroupId=77), "group", "1")
    assert group.group_id == "77"


def test_signed_numbers_of_32_bits_are_the_unsigned_ones_of_the_callback() -> None:
    message = read_message(line(MsgSeq=-1, MsgRandom=-(2**31)), "c2c", "1")
    assert (message.seq, message.random) == (2**32 - 1, 2**31)
    assert message.c2c_msg_key == f"{2**32 - 1}_{2**31}_1448974800"


@pytest.mark.parametrize("value", ["x", "", [], {"a": 1}, True, 0.5, 10**20, "9" * 30])
def test_a_random_number_that_is_none_costs_the_message_its_exact_id_only(value: Any) -> None:
    written = line(MsgRandom=value)
    message = read_message(written, "c2c", "1")
    assert (message.random, message.c2c_msg_key, message.raw) == (None, None, written)


@pytest.mark.parametrize("depth", [100, 126])
def test_as_deep_as_a_callback_may_be_a_line_may_be_too(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    assert read_message(line(MsgBody=[5]).replace(b"5", deep), "c2c", "1").seq == 12
    text = read_message(line(CloudCustomData="[{" * 5000), "c2c", "1").cloud_custom_data
    assert text == "[{" * 5000, "brackets within text are none"
