"""Which dead letters of the ingress become events, and what is said of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from bridge.commands import dlq
from bridge.commands.dlq_replay import LetterNormalizer
from bridge.settings import BridgeSettings
from common import dead_letter_replay
from common.dead_letter_filter import DeadLetterFilter
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


@pytest.fixture
def two_stale(monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> None:
    """Two letters with a stale time and one that could not be read, without Kafka."""

    async def found(_client: object, _topic: str, chosen: DeadLetterFilter, **_: object) -> AsyncIterator[DeadLetter]:
        for one in (letter(offset=7), letter(offset=8), letter(offset=9, reason="not_json")):
            if one.fits(chosen):
                yield one

    monkeypatch.setattr(dead_letter_replay, "open_letters", found)


@pytest.mark.parametrize(
    ("options", "printed", "left_out"),
    [
        ((), "1 would become events\n", "2 dead letters left out: "),
        (("--reason", "stale_time"), "2 would become events\n", ""),
        (("--reason", "not_json"), "1 would become events\n", ""),
        (("--letter", "0-8"), "1 would become events\n", ""),
        (("--command", "C2C.*"), "1 would become events\n", "--reason stale_time"),
        (("--reason", "nonsense"), "0 would become events\n", "without them 3 do"),
    ],
)
def test_letters_with_a_stale_time_are_replayed_only_if_they_are_named(
    options: tuple[str, ...], printed: str, left_out: str, two_stale: None
) -> None:
    done = CliRunner().invoke(dlq.app, ["replay", "--dry-run", *options])
    assert (done.exit_code, done.stdout) == (0, printed), done.output
    assert left_out in done.stderr
    assert ("left out" in done.stderr) == (options in {(), ("--command", "C2C.*")})


@pytest.mark.parametrize(
    ("letter_name", "status", "told"),
    [("0-77", 1, "there is no dead letter 0-77 on im.events.dlq"), ("77", 2, "partition-offset")],
)
def test_a_letter_that_there_is_not_is_an_error(letter_name: str, status: int, told: str, two_stale: None) -> None:
    done = CliRunner().invoke(dlq.app, ["replay", "--dry-run", "--letter", letter_name])
    assert done.exit_code == status
    assert told in done.output


def test_without_kafka_its_address_and_its_setting_are_named(
    monkeypatch: pytest.MonkeyPatch, restored_logging: None
) -> None:
    monkeypatch.setenv("BRIDGE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    done = CliRunner().invoke(dlq.app, ["replay", "--dry-run"])
    assert done.exit_code == 1
    assert "Kafka at 127.0.0.1:9 (BRIDGE_KAFKA_BOOTSTRAP_SERVERS) cannot be used" in done.output
