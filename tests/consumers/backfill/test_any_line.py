"""Whatever a line holds, it becomes a valid event or a bad line, and the lines beside it become events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.events.base import SCHEMA_BASE
from bridge.journal.record import Record
from consumers.archive.lines import FileReader, HourReport
from consumers.archive.message import ArchivedChat, ArchivedMessage
from consumers.backfill.event import EventMaker
from consumers.backfill.hour_comparison import keys_of
from consumers.backfill.identity import DOCUMENTED
from tests.consumers.backfill.stand_ins import HOUR, START_S, c2c_line, group_line, value_of
from tests.support.callbacks import APP_ID
from tests.support.events import checked_event
from tests.support.im_archive import archive_text

NAMES = [
    *("From_Account", "To_Account", "GroupId", "TopicId", "MsgTimestamp", "MsgSeq", "MsgRandom", "Random", "MsgKey"),
    *("MsgBody", "MsgFromPlatform", "ClientIP", "CloudCustomData", "msgseq", "MsgTime", "MSGKEY", "New"),
]
WHOLE = st.one_of(st.integers(), st.integers(START_S - 200_000, START_S + 200_000), st.integers(-(2**70), 2**70))
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    WHOLE,
    WHOLE.map(str),
    WHOLE.map(lambda number: f"00{number}"),
    st.floats(),
    st.text(max_size=300),
    st.sampled_from(["1_2_3", "-1_-2_3", "001_2_3", "9" * 400, "x" * 10_000, "\ud83d", "\x00", "\u2028", "1e400"]),
)
VALUE = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)
MAKERS = [
    EventMaker(schema_base=SCHEMA_BASE),
    EventMaker(schema_base=SCHEMA_BASE, drop_fields=["From_Account", "MsgKey", "New", "Random"]),
]


def read(chat: ArchivedChat, line: bytes) -> tuple[list[ArchivedMessage], HourReport]:
    """What a file has in which a line stands between two good ones."""
    good = c2c_line if chat == "c2c" else group_line
    report = HourReport()
    lines = [json.dumps(good(1)).encode(), line, json.dumps(good(2)).encode()]
    batches = FileReader(HOUR, chat, APP_ID, report).batches([archive_text(APP_ID, chat, HOUR, lines)])
    return [message for batch in batches for message in batch], report


def check(chat: ArchivedChat, line: bytes) -> None:
    found, report = read(chat, line)
    assert len(found) + report.bad_lines == 3
    assert [found[0].seq, found[-1].seq] == [1, 2]
    for message in found:
        keys = keys_of(message, DOCUMENTED)
        assert keys.looked_up
        for maker in MAKERS:
            record = maker.record(message, DOCUMENTED, now_ms=1_764_400_000_000)
            checked_event(Record("im.events", record.key, value_of(record), list(record.headers), 0))


@settings(deadline=None)
@given(chat=st.sampled_from(["c2c", "group"]), changes=st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=3))
def test_any_value_of_any_field_costs_its_line_at_most(chat: ArchivedChat, changes: dict[str, Any]) -> None:
    line = {**(c2c_line(3) if chat == "c2c" else group_line(3)), **changes}
    check(chat, json.dumps(line).encode())


@pytest.mark.parametrize("depth", [100, 127, 128, 900, 1000, 5000])
@pytest.mark.parametrize("chat", ["c2c", "group"])
@pytest.mark.parametrize("more", ["", '"y":NaN,', '"y":12345678901234567890123,', '"y":1e999,'])
def test_however_deep_a_line_is_nested_it_costs_itself_at_most(chat: ArchivedChat, depth: int, more: str) -> None:
    line = json.dumps(c2c_line(3) if chat == "c2c" else group_line(3))[:-1]
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        check(chat, f'{line},{more}"x":{opening * depth}1{closing * depth}}}'.encode())
