"""What one body may cost: absurd ones are dead letters as they came, large ones that make sense are events."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from bridge.journal.record import Record
from bridge.normalize import batches, content, lenient
from bridge.normalize.batches import MAX_ITEMS, MAX_SHARED_BYTES
from bridge.normalize.bounds import MAX_DEPTH, MAX_VALUES, SMALL_BYTES, excess
from bridge.normalize.normalizer import MOST_DECISION_BYTES, Normalizer, RecordTooLargeError, with_decision
from bridge.normalize.repair import MAX_HALVES, UnreadableError, load
from bridge.settings.limits import DEAD_LETTER_BYTES
from tests.support.callbacks import RECALLED, SENT
from tests.support.events import DLQ, Noted, checked_event, event_of, json_of, normalizer, received, records_of
from tests.support.ingress_parts import settings

DESTROYED = "Group.CallbackAfterGroupDestroyed"
PUSH = "Push.OfflinePush"
MEBIBYTE = 1024 * 1024
MANY = MAX_VALUES + 1
OVERHEAD_BYTES = 1024
"""Far more than an event has beside its data."""


def reason_of(command: str, body: bytes, **options: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        records_of(command, body, **options)
    return caught.value.reason


# -- Values ------------------------------------------------------------------------------------------------------------

ABSURD = {
    "objects": b"[%b]" % b",".join([b"{}"] * MANY),
    "lists": b"[%b]" % b",".join([b"[]"] * MANY),
    "lists in lists": b"[%b]" % b",".join([b"[" * 60 + b"]" * 60] * (MANY // 60)),
    "numbers": b"[%b]" % b",".join([b"1"] * MANY),
    "texts": b"[%b]" % b",".join([b'"a"'] * MANY),
    "halves": b"[%b]" % b",".join([b'"\\ud83d"'] * MANY),
    "names": b"{%b}" % b",".join(b'"k%d":1' % number for number in range(MANY)),
    "one name": b"{%b}" % b",".join([b'"k":1'] * MANY),
    "commas": b"[%b]" % (b"," * 3 * MANY),
    "not finite": b"[%b]" % b",".join([b"NaN"] * MANY),
    "broken": b"[%b" % b",".join([b"[]"] * MANY),
    "quotes": b'"' * 5 * MANY + b"," * MANY,
}


@pytest.mark.parametrize("options", [{}, {"drop_fields": ["Secret"]}], ids=["", "filtered"])
@pytest.mark.parametrize("inside", ABSURD, ids=str)
@pytest.mark.parametrize(
    ("command", "field"),
    [
        (SENT, "MsgBody"),
        (SENT, "New"),
        (RECALLED, "New"),
        (DESTROYED, "MemberList"),
        ("New.X", "New"),
        (PUSH, "Events"),
    ],
)
def test_a_body_of_too_many_values_is_unreadable(
    command: str, field: str, inside: str, options: dict[str, Any]
) -> None:
    assert reason_of(command, b'{"To_Account":"a","%b":%b}' % (field.encode(), ABSURD[inside]), **options) == (
        "too_many_values"
    )


def test_too_many_values_are_found_in_any_encoding() -> None:
    body = b'{"To_Account":"\\u00e9 \\" [","New":%b}' % ABSURD["lists"]
    for encoding in ("utf-16", "utf-8-sig"):
        assert reason_of(RECALLED, body.decode().encode(encoding)) == "too_many_values"


def test_as_many_values_as_are_allowed_become_an_event() -> None:
    body = b'{"To_Account":"a","New":[%b]}' % b",".join([b"1"] * (MAX_VALUES - 3))
    assert len(json_of(RECALLED, body)["data"]["unknown"]["New"]) == MAX_VALUES - 3


@pytest.mark.parametrize(
    "text",
    [
        "[{,}]" * (MEBIBYTE // 6),
        '{"a":"b","c":[1,2]},' * (MEBIBYTE // 33),
        "\\" * (MEBIBYTE // 3) + '"[,' * (MEBIBYTE // 18),
        '\\"[,"\\,' * (MEBIBYTE // 14),
        "群,[{" * (MEBIBYTE // 8),
    ],
    ids=["brackets", "json", "backslashes", "quotes", "chinese"],
)
def test_a_text_may_hold_whatever_it_likes(text: str) -> None:
    body = orjson.dumps({"To_Account": "a", "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]})
    assert len(body) > SMALL_BYTES
    assert excess(body) is None
    event = json_of(SENT, body)
    assert event["data"]["msg_body"][0]["MsgContent"]["Text"] == text
    assert "repaired" not in event


@pytest.mark.parametrize("more", [{}, {"Role": "Member"}, {"Number": 7.5}], ids=["documented", "new", "odd"])
def test_the_end_of_the_largest_group_is_a_typed_event(more: dict[str, Any]) -> None:
    members = [{"Member_Account": f"user-{number:026d}", **more} for number in range(6000)]
    event = event_of(DESTROYED, {"GroupId": "g", "MemberList": members, "New": 1})
    assert [member.member_account for member in event.data.member_list] == [one["Member_Account"] for one in members]
    assert event.data.unknown == {"New": 1} | ({"MemberList": [more] * 6000} if more else {})


def test_a_long_list_is_read_as_a_short_one_is() -> None:
    for odd in ({"Member_Account": 7}, {"member_account": "a"}, {"Member_Account": None}, {}, {"New": 1}):
        members = [{"Member_Account": "a"}] * lenient.MANY_ITEMS + [odd]
        data = event_of(DESTROYED, {"GroupId": "g", "MemberList": members, "New": 1}).data
        short = event_of(DESTROYED, {"GroupId": "g", "MemberList": [odd], "New": 1}).data
        assert data.member_list[-1] == short.member_list[0]
        assert (data.unknown or {}).keys() == (short.unknown or {}).keys()


def test_many_brackets_that_open_nothing_deep_do_not_hide_what_is_deep() -> None:
    deep = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    assert reason_of(SENT, b'{"MsgBody":[%b,%b]}' % (b",".join([b"[]"] * 1000), deep)) == "too_deep"
    assert reason_of(SENT, b'{"a":"\\\\","MsgBody":%b}' % deep) == "too_deep"
    assert json_of(SENT, b'{"a":"\\\\\\"","MsgBody":["%b"]}' % deep)["data"]["msg_body"] == [deep.decode()]


def test_of_a_body_that_differs_everywhere_only_so_much_is_told() -> None:
    drift = Noted()
    members = [{"Member_Account": 7, "New": 1} for _ in range(6000)]
    records_of(DESTROYED, {f"k{number}": 1 for number in range(500)} | {"MemberList": members}, drift=drift)
    assert len(drift.items) == lenient.MAX_SURPRISES
    drift = Noted()
    records_of(PUSH, {"Events": [{"New": 1}] * MAX_ITEMS}, drift=drift)
    assert len(drift.items) == lenient.MAX_SURPRISES
    counting = normalizer(drift=drift)
    for _ in range(2):
        counting.event(received(RECALLED, {"New": 1}))
    assert drift.items.count(("unknown_field", RECALLED, "New")) == 2


@pytest.mark.parametrize("count", [1, MAX_HALVES // 2])
def test_emoji_of_which_each_half_is_encoded_by_itself_are_put_together(count: int) -> None:
    assert load(b'{"a":"%b"}' % (b"\xed\xa0\xbd\xed\xb8\x80" * count)).fields == {"a": "\U0001f600" * count}


def test_of_very_many_such_halves_each_byte_is_replaced() -> None:
    fields = load(b'{"a":"%b"}' % (b"\xed\xa0\xbd" * (MAX_HALVES + 1))).fields
    assert set(fields["a"]) == {"\ufffd"}


def test_the_command_in_a_body_is_found_in_a_large_one_and_in_a_broken_one() -> None:
    for body, command in [
        (b'{"MsgBody":%b,"CallbackCommand":"A.B"}' % ABSURD["lists"], "A.B"),
        (b'{"CallbackCommand":"A.B","x":"\\ud83d"}', "A.B"),
        (b'{"CallbackCommand":7}', ""),
        (b'{"CallbackCommand":"A.B"', ""),
        (b"[]", ""),
        (b'{"CallbackCommand":"A.B","x":"\\ud83d%b"}' % (b"x" * SMALL_BYTES), ""),
    ]:
        assert content.command_in(body) == command


# -- Batches -----------------------------------------------------------------------------------------------------------


def test_a_batch_may_have_five_times_as_many_events_as_is_documented_and_no_more() -> None:
    items = [{"To_Account": f"u{number}"} for number in range(MAX_ITEMS)]
    assert len(records_of(PUSH, {"Events": items})) == MAX_ITEMS >= 500
    for command in (PUSH, "New.Thing"):
        assert reason_of(command, orjson.dumps({"Events": [*items, {}]})) == "too_many_events"
    assert reason_of(PUSH, b'{"Events":[%b]}' % b",".join([b'{"a":"\\ud83d"}'] * (MAX_ITEMS + 1))) == "too_many_events"


@pytest.mark.parametrize("more", [{"Other": 1}, {}])
def test_a_long_list_of_an_unknown_command_that_is_no_batch_stays_what_it_is(more: dict[str, Any]) -> None:
    body = {"Events": [1] * (MAX_ITEMS + 1), **more}
    assert json_of("New.Thing", body)["data"] == body


@pytest.mark.parametrize(
    "shared",
    [
        {"Batch": "x" * (MAX_SHARED_BYTES // 100)},
        {f"k{number}": number for number in range(MAX_VALUES // 100)},
        {"Batch": [[]] * (MAX_VALUES // 200)},
    ],
    ids=["long", "names", "lists"],
)
def test_what_stands_beside_the_list_cannot_make_much_of_little(shared: dict[str, Any]) -> None:
    few = records_of(PUSH, {"Events": [{"To_Account": "a"}] * 90, **shared})
    assert len(few) == 90
    assert sum(record.size for record in few) < MAX_SHARED_BYTES + 90 * OVERHEAD_BYTES
    body = orjson.dumps({"Events": [{"To_Account": "a"}] * 110, **shared})
    assert reason_of(PUSH, body) == "too_large"
    assert reason_of(PUSH, body.replace(b'"a"', b'"\\ud83d"', 1)) == "too_large"


def test_what_stands_beside_the_list_is_read_once_and_not_for_each_item(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def counting(body: bytes) -> Any:
        read.append(body)
        return load(body)

    monkeypatch.setattr(batches, "load", counting)
    items = [b'{"To_Account":"u%d"}' % number for number in range(100)]
    body = b'{"Shared":"%b","Events":[%b]}' % (b"x" * 2000, b",".join(items))
    assert len(records_of(PUSH, body)) == 100
    assert sum(map(len, read)) < len(body)


# -- Records -----------------------------------------------------------------------------------------------------------

SETTINGS = settings()
SWELLING = {
    "control characters": (SENT, b'{"To_Account":"a","MsgBody":["%b"]}' % (b"\x01" * 1_000_000)),
    "unknown command": ("New.Thing", b'{"To_Account":"%b"}' % (b"\x01" * 1_000_000)),
    "no UTF-8": (RECALLED, b'{"To_Account":"a","New":"%b"}' % (b"\xff" * 1_000_000)),
    "batch": (PUSH, b'{"Events":[{"To_Account":"%b"}]}' % (b"\x01" * 1_000_000)),
}


def every_record(normalizer: Normalizer, command: str, body: bytes) -> list[Record]:
    """What the ingress makes of a body."""
    callback = received(command, body)
    try:
        return normalizer.event(callback)
    except UnreadableError as error:
        return [normalizer.dead_letter(callback, error.reason, str(error))]


@pytest.mark.parametrize("keep_raw", [False, True])
@pytest.mark.parametrize("kind", SWELLING)
def test_an_event_that_is_larger_than_a_record_may_be_is_a_dead_letter_as_it_came(kind: str, keep_raw: bool) -> None:
    command, body = SWELLING[kind]
    chosen = SETTINGS.model_copy(update={"keep_raw": keep_raw})
    (letter,) = every_record(Normalizer.from_settings(chosen), command, body)
    assert letter.topic == DLQ
    assert dict(letter.headers)["reason"] == b"too_large"
    assert letter.value in (body, body[len(b'{"Events":[') : -2])
    assert letter.size < SETTINGS.max_record_bytes


@pytest.mark.parametrize("keep_raw", [False, True])
@pytest.mark.parametrize("command", [SENT, RECALLED, DESTROYED, "New.Thing"])
def test_the_largest_usual_body_is_an_event(command: str, keep_raw: bool) -> None:
    start, end = b'{"To_Account":"a","GroupId":"g","New":"', b'"}'
    body = start + b"x" * (SETTINGS.max_body_bytes - len(start) - len(end)) + end
    chosen = SETTINGS.model_copy(update={"keep_raw": keep_raw})
    (record,) = every_record(Normalizer.from_settings(chosen), command, body)
    assert checked_event(record)
    assert record.size < SETTINGS.max_record_bytes


def test_the_events_of_a_batch_are_bounded_together() -> None:
    items = [b'{"To_Account":"%b"}' % (b"\x01" * 10_000)] * 90
    (letter,) = every_record(Normalizer.from_settings(SETTINGS), PUSH, b'{"Events":[%b]}' % b",".join(items))
    assert dict(letter.headers)["reason"] == b"too_large"
    assert len(every_record(Normalizer.from_settings(SETTINGS), PUSH, b'{"Events":[%b]}' % b",".join(items[:20]))) == 20


def test_an_event_that_just_fits_still_fits_with_a_decision() -> None:
    limit = 10_000
    command = "C2C.CallbackBeforeSendMsg"
    largest = 0
    for length in range(8000, 10_000, 16):
        body = orjson.dumps({"To_Account": "a", "CloudCustomData": "x" * length})
        try:
            (record,) = records_of(command, body, max_record_bytes=limit)
        except UnreadableError:
            break
        largest = with_decision(record, "partly_refused", 2**31 - 1).size
        assert largest - record.size < MOST_DECISION_BYTES
    assert limit - 700 < largest < limit


def test_what_a_topic_really_takes_counts_as_soon_as_it_is_known() -> None:
    limits: dict[str, int] = {}
    chosen = Normalizer.from_settings(SETTINGS, limits.get)
    body = orjson.dumps({"To_Account": "a", "New": "x" * 200_000})
    for limits["im.events"], topic in [(10**9, "im.events"), (100_000, DLQ), (10**9, "im.events")]:
        (record,) = every_record(chosen, SENT, body)
        assert record.topic == topic
    limits |= {"im.events": 100_000, DLQ: 100_000}
    with pytest.raises(RecordTooLargeError, match="takes 99872"):
        every_record(chosen, SENT, body)
    assert [record.topic for record in every_record(chosen, SENT, b'{"To_Account":"a"}')] == ["im.events"]


def test_a_dead_letter_that_swells_beyond_a_record_is_not_kept() -> None:
    tight = settings(max_record_bytes=SETTINGS.max_body_bytes + DEAD_LETTER_BYTES, drop_fields="Secret")
    normalizer = Normalizer.from_settings(tight)
    body = b'{"Secret":1,"To_Account":"a","New":"%b"}' % (b"\x01" * 1_000_000)
    with pytest.raises(RecordTooLargeError):
        normalizer.dead_letter(received(SENT, body), "too_large", "too large")


def test_a_dead_letter_of_the_largest_body_always_fits() -> None:
    tight = settings(max_record_bytes=SETTINGS.max_body_bytes + DEAD_LETTER_BYTES)
    callback = received(SENT, b"x" * tight.max_body_bytes, ClientIP="1" * 32_000)
    letter = Normalizer.from_settings(tight).dead_letter(callback, "not_json", "d" * 256)
    assert letter.size < tight.max_record_bytes


# -- Settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body_bytes", "record_bytes"),
    [(MEBIBYTE, 9 * MEBIBYTE // 4), (1024, 5 * MEBIBYTE // 4), (32 * MEBIBYTE, 257 * MEBIBYTE // 4)],
)
def test_the_largest_record_follows_from_the_largest_body(body_bytes: int, record_bytes: int) -> None:
    chosen = settings(max_body_bytes=body_bytes, bodies_max_bytes=max(MEBIBYTE, 2 * body_bytes))
    assert chosen.max_record_bytes == record_bytes
    assert {topic.configs["max.message.bytes"] for topic in chosen.topics} == {str(record_bytes)}


def test_a_record_that_cannot_hold_a_body_is_refused_at_start() -> None:
    with pytest.raises(ValidationError, match="BRIDGE_MAX_BODY_BYTES"):
        settings(max_record_bytes=MEBIBYTE)
    assert settings(max_record_bytes=MEBIBYTE, max_body_bytes=MEBIBYTE // 2)
