"""What is shown of a body that differs from the documentation: names and types, never what a user wrote."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.events import names
from bridge.normalize.shapes import HIDDEN_NAME, MAX_FIELDS, MAX_SHAPE_CHARS, command_name, field_name, shape_of


def test_a_shape_has_names_and_types_and_no_values() -> None:
    body = {
        "Text": "hello",
        "MsgSeq": 7,
        "EventTime": "1670574414123",
        "Score": 7.5,
        "OnlineOnlyFlag": True,
        "Remark": None,
        "MemberList": [{"RoomInfo": {"RoomId": {"x": "y"}}}, 2],
        "Keys": ["a"],
        "GroupAttr": [],
    }
    assert shape_of(body) == (
        "{Text: <text of 5>, MsgSeq: <integer>, EventTime: <text of 13 digits>, Score: <number>,"
        " OnlineOnlyFlag: <boolean>, Remark: null, MemberList: [{RoomInfo: <object of 1>}, …], Keys: [<text of 1>],"
        " GroupAttr: <list of 0>}"
    )
    assert shape_of(["7"]) == "[<text of 1 digit>]"
    assert shape_of("\uff17") == "<text of 1>"
    assert shape_of({}) == "{}"
    assert shape_of([[[["x"]]]]) == "[[[<list of 1>]]]"


@pytest.mark.parametrize(
    "name",
    ["From_Account", "key", "opType", "RoomMode", "Peer_Account", "GroupMsgNum", "IsRoomVisible", "Op2Account"],
)
def test_a_name_of_words_of_the_documentation_is_shown(name: str) -> None:
    assert shape_of({name: 1}) == f"{{{name}: <integer>}}"


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "Alice",
        "AliceSmith",
        "User_Ann",
        "user_12",
        "admin",
        "13800138000",
        "User13800138000",
        "@TGS#1A2B",
        "a@example.com",
        "张三",
        "Room Info",
        "Room\nInfo",
        "RoomInfo\n",
        "\x1b[31m",
        "😀",
        "\ud83d",
        "",
        "_",
        "Room__Info",
        "Room" * 50,
        HIDDEN_NAME,
    ],
    ids=lambda name: ascii(name)[:20],
)
def test_a_name_that_may_be_a_value_is_hidden_inside_of_what_is_not_documented(name: str) -> None:
    assert shape_of({name: 1}) == f"{{{HIDDEN_NAME}: <integer>}}"


def test_an_object_with_accounts_for_names_is_shown_by_the_first_of_them() -> None:
    assert shape_of({"alice": {"Text": "x"}, "GroupId": "g", "bob": 1, "carol": 2}) == (
        f"{{{HIDDEN_NAME}: {{Text: <text of 1>}}, GroupId: <text of 1>}}"
    )


@pytest.mark.parametrize("name", ["Nickname", "seq", "msg_id", "New_Field2", "IsMuted"])
def test_the_name_of_a_new_field_of_a_documented_object_is_shown(name: str) -> None:
    assert field_name(name) == name


@pytest.mark.parametrize(
    "command", ["New.Thing", "Group.CallbackAfterX", "caller_start_call", "createSeat", "call_missed"]
)
def test_a_command_that_looks_like_one_is_shown(command: str) -> None:
    assert command_name(command) == command


@pytest.mark.parametrize(
    "text", ["alice", "Alice", "john.smith", "User_Ann", "john_call", "Hello", "ab", "AB", "new.Thing"]
)
def test_a_command_that_may_be_an_account_or_a_word_of_a_user_is_hidden(text: str) -> None:
    assert command_name(text) == HIDDEN_NAME


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user_7",
        "__init__",
        "a_",
        "a b",
        "a-b",
        "a.b.c",
        ".a",
        "a.",
        "x" * 81,
        "a12345",
        "张三",
        "x\n",
        "\x1b",
        "\u202e",
        "a@b",
        "<b>",
        "`",
    ],
)
def test_neither_a_field_nor_a_command_is_shown_that_is_no_short_identifier(text: str) -> None:
    assert {field_name(text), command_name(text)} == {HIDDEN_NAME}


USERS_TEXT = st.text(st.characters(exclude_categories=["Lu"]))
"""No word of the documentation can be in it, but for names such as `key`."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | USERS_TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(USERS_TEXT, inner, max_size=5),
    max_leaves=20,
)
SHOWN = re.compile(
    r"<(?:text|list|object) of [0-9]+(?: digits?)?>|<(?:integer|number|boolean|hidden name)>|null|[{}\[\]:, …]"
)


@given(VALUES)
def test_whatever_a_body_holds_nothing_of_it_is_shown(value: Any) -> None:
    shown = shape_of(value)
    assert len(shown) <= MAX_SHAPE_CHARS
    whole = shown if len(shown) < MAX_SHAPE_CHARS else re.sub(r"(<[^<>]*|[a-z]+)…$", "…", shown)
    left = set(SHOWN.sub(" ", whole).split())
    assert left <= names.fields()


@given(st.text(), st.text())
def test_no_text_of_a_user_is_a_part_of_the_shape(name: str, text: str) -> None:
    secret = f"§{text}§"
    shown = shape_of({"Text": secret, secret: {f"{name}§": [secret], "RoomId": secret}})
    assert "§" not in shown
    assert "§" not in field_name(secret) + command_name(secret)


class WatchedFields(dict[str, Any]):
    """An object that knows how many of its fields were looked at."""

    taken = 0

    def items(self) -> Any:
        for item in super().items():
            WatchedFields.taken += 1
            yield item


@pytest.mark.parametrize("name", ["Room{}", "n{}"], ids=["shown", "hidden"])
def test_of_a_large_object_only_a_part_is_looked_at(name: str) -> None:
    def fields(inner: Any) -> WatchedFields:
        words = map("".join, product("abcdefghijklmnopqrstuvwxyz", repeat=2))
        return WatchedFields({name.format(word): inner for word in words})

    WatchedFields.taken = 0
    shown = shape_of(fields(fields(fields("x"))))
    assert len(shown) <= MAX_SHAPE_CHARS
    assert WatchedFields.taken <= 3 * (MAX_FIELDS + 1)
