"""JSON that goes deeper than Python can write ends nothing that shows records: a topic takes it from anybody."""

from __future__ import annotations

import orjson
import pytest

from bridge.commands.tail_filter import RecordFilter
from bridge.console.hiding import Hiding
from bridge.console.live_filter import LiveFilter
from bridge.console.rebuilt_callback import callback_of
from bridge.console.record_detail import whole_record
from bridge.console.rows import kind_of_letter, row_of, subject_of_letter
from bridge.contract.record_line import content_of, describe_record, json_line
from common.kafka.dead_letters import DeadLetter
from tests.console.records import record

NAMES = (
    *("type", "subject", "account", "source", "id", "time", "decision", "app_id", "callbackcommand", "clientip"),
    *("platform", "receivedtime", "unread", "specversion", "data", "From_Account"),
)


@pytest.mark.parametrize("hidden", [(), ("MsgBody",)], ids=["all", "hidden"])
@pytest.mark.parametrize("is_letter", [True, False], ids=["letter", "record"])
@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_shown_and_looked_for_however_deep_it_goes(
    name: str, is_letter: bool, hidden: tuple[str, ...]
) -> None:
    hiding = Hiding(hidden)
    for depth in (150, 500, 1015):
        value = b'{"%s":%b%b}' % (name.encode(), b"[" * depth, b"]" * depth)
        orjson.loads(value)
        found = record(value, *([("reason", b"x")] if is_letter else []))
        row_of(found, hiding)
        whole_record(found, hiding)
        callback_of(found, content_of(found), hiding, url="http://127.0.0.1:1/")
        letter = DeadLetter(found)
        assert kind_of_letter(letter, hiding) == ""
        subject_of_letter(letter, hiding)
        describe_record(found)
        json_line(found)
        assert not RecordFilter(type="im.*", account="bob").admits(found)
        assert not RecordFilter(account="bob").admits(found)
        for chosen in (LiveFilter(type="im.*"), LiveFilter(app="1"), LiveFilter(account="bob"), LiveFilter(text="bob")):
            assert not chosen.admits(found, hiding)
