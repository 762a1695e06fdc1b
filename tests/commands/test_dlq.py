"""Which dead letters of the ingress become events, and what is said of the others."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from bridge.commands.dlq import LetterNormalizer
from bridge.settings import BridgeSettings
from common.dead_letter_replay import NotReplayableError
from common.kafka.dead_letters import DeadLetter
from tests.support.callbacks import RECALLED, SENT
from tests.support.events import DLQ, NOON_NS, normalizer, received

BODY = {"To_Account": "ann", "From_Account": "bob", "MsgKey": "1_2_3"}


@pytest.fixture
def letters() -> LetterNormalizer:
    settings: dict[str, Any] = {"apps": {"1400000000": ["token-a"]}, "dlq_topic": DLQ}
    return LetterNormalizer(BridgeSettings.model_validate(settings))


def letter(
    command: str = RECALLED,
    body: bytes | dict[str, Any] = BODY,
    *,
    reason: str = "stale_time",
    offset: int = 7,
    **changes: str,
) -> DeadLetter:
    """A dead letter as the ingress writes it; `changes` replace headers, an empty one takes its header away."""
    record = normalizer().dead_letter(received(command, body), reason, "a detail")
    headers = {name: value.decode() for name, value in record.headers} | {
        name.replace("_", "-"): value for name, value in changes.items()
    }
    kept = tuple((name, value.encode()) for name, value in headers.items() if value)
    return DeadLetter(ConsumerRecord(DLQ, 0, offset, 1, 0, record.key, record.value, None, 0, 0, kept))


def test_a_letter_becomes_an_event_with_the_time_of_its_receipt(letters: LetterNormalizer) -> None:
    [record] = letters.records(letter())
    event = orjson.loads(record.value)
    assert (record.key, record.timestamp_ms) == (b"ann", NOON_NS // 1_000_000)
    assert event["receivedtime"] == event["time"] == "2026-01-01T12:00:00.000Z"


def test_a_letter_that_is_replayed_twice_has_the_same_id_and_another_of_the_same_millisecond_has_another(
    letters: LetterNormalizer,
) -> None:
    without_key = {"To_Account": "ann"}
    ids = [
        orjson.loads(letters.records(letter(SENT, without_key, offset=offset))[0].value)["id"] for offset in (7, 7, 8)
    ]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (letter(body=b"\x00 no JSON", reason="not_json"), "^not_json: "),
        (letter(reason="refused_by_broker"), "bridge journal show --refused"),
        (letter(query=""), "it is no callback"),
        (letter(receivedtime=""), "it is no callback"),
        (letter(body_sha256="ab"), "its body was not kept"),
    ],
)
def test_a_letter_that_cannot_become_an_event_says_why(letters: LetterNormalizer, found: DeadLetter, why: str) -> None:
    with pytest.raises(NotReplayableError, match=why):
        letters.records(found)
