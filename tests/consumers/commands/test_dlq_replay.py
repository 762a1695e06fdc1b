"""A dead letter and the worker that is given it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from common import dead_letter_replay
from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_replay import NotReplayableError
from common.kafka.dead_letters import DeadLetter
from consumers.commands import dlq_replay
from consumers.commands.dlq_replay import Replay, original_record
from consumers.errors import RetryLater
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.worker import OutgoingRecord, RecordWorker


def as_letter(headers: list[tuple[str, bytes]], value: bytes = b"{}") -> DeadLetter:
    return DeadLetter(ConsumerRecord("dlq", 3, 7, 1000, 0, b"ann", value, None, 0, 0, tuple(headers)))


def test_a_letter_becomes_the_record_that_it_was_with_its_own_headers_of_the_same_names() -> None:
    headers = [("reason", b"of the event itself"), ("traceparent", b"00-1"), ("reason", b"handler_failed")]
    origin = {"original-topic": b"t", "original-partition": b"2", "original-offset": b"9", "original-timestamp": b"5"}
    record = original_record(as_letter([*headers, ("group", b"g"), *origin.items()]))
    assert record.headers == (("reason", b"of the event itself"), ("traceparent", b"00-1"))
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("t", 2, 9, 5)
    assert (record.key, record.value) == (b"ann", b"{}")


def test_a_letter_without_its_value_says_where_the_record_is() -> None:
    origin = {"original-topic": b"t", "original-partition": b"2", "original-offset": b"9", "value-omitted": b"true"}
    with pytest.raises(NotReplayableError, match="t-2 offset 9"):
        original_record(as_letter([("group", b"g"), *origin.items()]))


class Noting(RecordWorker):
    """Notes what it is given; fails on what is in `broken`."""

    name = "noting"

    def __init__(self, *broken: int) -> None:
        self.handled: list[int] = []
        self._broken = broken

    async def handle(self, batch: Sequence[ConsumerRecord]) -> None:
        for record in batch:
            if record.offset in self._broken:
                raise ValueError("cannot stomach this")
            self.handled.append(record.offset)


@pytest.fixture
def markers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets a replay run without Kafka, on letters with the offsets 0, 1, 2; what is marked as done by it."""
    written: list[str] = []

    async def no_topics(*_: object) -> None:
        """There is no broker to create them."""

    async def letters(*_: object, **__: object) -> AsyncIterator[DeadLetter]:
        for offset in range(3):
            yield as_letter([("original-topic", b"t"), ("original-partition", b"2"), *at(offset)])

    async def publish(_producer: Producer, _topic: str, records: Sequence[OutgoingRecord]) -> None:
        written.extend(record.key.decode() for record in records)

    monkeypatch.setattr(dlq_replay, "ensure_topics", no_topics)
    monkeypatch.setattr(dead_letter_replay, "open_letters", letters)
    monkeypatch.setattr(Producer, "publish", publish)
    return written


def at(offset: int) -> list[tuple[str, bytes]]:
    return [("original-offset", b"%d" % offset), ("attempts", b"%d" % offset)]


def replay(**options: Any) -> Replay:
    return Replay(ConsumersSettings.model_validate({}), DeadLetterFilter(), **options)


async def test_a_letter_that_fails_again_stays_and_those_behind_it_are_replayed(markers: list[str]) -> None:
    worker = Noting(1)
    progress = await replay().replay(worker, "noting")
    assert worker.handled == [0, 2]
    assert (progress.done, progress.failures) == (2, 1)
    assert progress.failed == [("3-7", "ValueError: cannot stomach this")]
    assert len(markers) == 2


async def test_a_dry_run_counts_and_neither_handles_nor_marks(markers: list[str]) -> None:
    worker = Noting(1)
    assert (await replay(dry_run=True).replay(worker, "noting")).done == 3
    assert (worker.handled, markers) == ([], [])


async def test_dropped_letters_are_marked_and_not_handled(markers: list[str]) -> None:
    assert (await replay().drop()).done == 3
    assert len(markers) == 3


async def test_a_letter_whose_marker_cannot_be_written_is_not_handled_again(
    markers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, refusals = Producer.publish, [RetryLater("away"), RetryLater("away")]

    async def refusing(producer: Producer, topic: str, records: Sequence[OutgoingRecord]) -> None:
        if refusals:
            raise refusals.pop()
        await publish(producer, topic, records)

    monkeypatch.setattr(Producer, "publish", refusing)
    worker, waited_for = Noting(), set[str | None]()
    progress = await replay(report=lambda now: waited_for.add(now.waiting_for)).replay(worker, "noting")
    assert worker.handled == [0, 1, 2]
    assert waited_for == {"away", None}
    assert (progress.done, len(markers), refusals) == (3, 3, [])
