"""Many records are read together as each would be by itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bridge.events import AllConversationsRead, ConversationRead, InvalidEventError, MessageRecalled, MessageSent
from common.kafka.checked_records import CheckedRecords
from common.kafka.light_records import LightBatch, LightRecords
from consumers.badges import Badges
from consumers.badges.badge_event import TYPES, BadgeEvent, TracedBadgeEvent, read_badge_event, read_badge_events
from tests.support.badge_model import ALL_READ, READ, RECALLED, SENT, badge_event

WANTED = [
    orjson.dumps(badge_event(f"e{at}", "ann", 3, kind=kind)) for at, kind in enumerate((RECALLED, SENT, READ, ALL_READ))
]
OTHER = orjson.dumps(badge_event("o", "ann", 3) | {"type": "im.group.created"})
IN_ANOTHER_FORM = orjson.dumps(badge_event("f", "ann", 3, to_account=["ann"]) | {"type": "im.group.created"})
LARGE = orjson.dumps(badge_event("l", "ann", 3, msg_body=["x"] * 2000))
LARGE_OTHER = orjson.dumps(badge_event("m", "ann", 3, members=["x"] * 2000) | {"type": "im.group.created"})
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
JSON = ("content-type", b"application/json")


@pytest.mark.parametrize(
    "values",
    [
        [],
        WANTED,
        [OTHER, *WANTED, OTHER],
        [IN_ANOTHER_FORM, *WANTED, IN_ANOTHER_FORM, IN_ANOTHER_FORM, OTHER, WANTED[0], IN_ANOTHER_FORM],
        [LARGE, *WANTED, LARGE_OTHER, IN_ANOTHER_FORM],
    ],
    ids=["none", "wanted", "others among them", "in other forms", "large"],
)
def test_values_are_read_together_as_each_by_itself(values: list[bytes]) -> None:
    assert read_badge_events(values) == [read_badge_event(value) for value in values]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        WANTED[0] + b"}",
        WANTED[0] + WANTED[1],
        WANTED[0] + b"," + WANTED[1],
        b"\xff",
        orjson.dumps(badge_event("w", "ann", 3, to_account=7)),
        orjson.dumps(badge_event("w", "ann", 3) | {"time": "2026-13-01T00:00:00.000Z"}),
        orjson.dumps(badge_event("w", "ann", 3) | {"receivedtime": "2026-11-01T00:00:00.000"}),
    ],
    ids=["empty", "cut", "more behind it", "two", "two with a comma", "no text", "type", "month", "no zone"],
)
def test_what_is_no_event_is_refused_in_any_place(wrong: bytes) -> None:
    with pytest.raises(InvalidEventError):
        read_badge_event(wrong)
    for values in ([wrong, *WANTED], [*WANTED, wrong], [LARGE, wrong], [IN_ANOTHER_FORM, wrong, OTHER]):
        with pytest.raises(InvalidEventError):
            read_badge_events(values)


def test_among_events_of_other_types_only_those_that_are_wanted_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    # To fail on an event of another type costs six times what it does to see its type.
    decoded: list[bytes] = []

    def decode(value: bytes) -> BadgeEvent:
        decoded.append(value)
        return msgspec.json.decode(value, type=BadgeEvent)

    monkeypatch.setattr("consumers.badges.badge_event._decode_event", decode)
    assert read_badge_events([*[OTHER] * 100, WANTED[0]])[-1] is not None
    assert decoded == [OTHER, WANTED[0]]


def light(values: Sequence[bytes], headers: Sequence[list[tuple[str, bytes]]]) -> LightBatch:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for offset, value in enumerate(values):
        builder.append(offset, 1_790_000_000_000, b"ann", value, headers[offset])
    partition = TopicPartition("im.events", 3)
    return LightBatch(partition, list(LightRecords(partition, CheckedRecords(bytes(builder.build())), 0)))


def test_the_worker_reads_records_together_as_each_by_itself() -> None:
    headers = [[JSON], [JSON, TRACE], [], [TRACE], [JSON, TRACE], [JSON]]
    batch = light([*WANTED, OTHER, IN_ANOTHER_FORM], headers)
    for records in (batch, list(batch)):
        together, alone = Badges(), Badges()
        found = together.read_batch(records)
        assert found == [alone.read(record) for record in batch]
        traced = [(at, one.offset, one.topic) for at, one in enumerate(found) if isinstance(one, TracedBadgeEvent)]
        assert traced == [(1, 1, "im.events"), (3, 3, "im.events")]


def test_no_record_is_looked_at_further_than_its_value_and_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    # To make the rest of a record costs more than all else that is done to read its event.
    def complain(_: ConsumerRecord, name: str) -> None:
        raise AssertionError(f"asked for {name}")

    monkeypatch.setattr("common.kafka.light_records.LightRecord.__getattr__", complain)
    assert Badges().read_batch(light(WANTED, [[JSON]] * 4)) == [read_badge_event(value) for value in WANTED]


def test_what_decides_a_badge_are_these_types_of_the_contract() -> None:
    decisive = (MessageRecalled, MessageSent, ConversationRead, AllConversationsRead)
    assert {one.callback.type for one in decisive} == TYPES
