"""A delivery whose worker fails as it is told, and whose dead letters are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiokafka import ConsumerRecord, TopicPartition

from consumers.metrics import Metrics
from consumers.runtime.dead_letter_breaker import DeadLetterBreaker
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.delivery import Delivery
from consumers.runtime.status import WaitStatus
from consumers.worker import Message, OutgoingRecord, Worker
from tests.support.badge_model import badge_event

PARTITION = TopicPartition("im.events", 3)


class Faulty(Worker):
    name = "faulty"

    def __init__(self, fail: Callable[[Message], BaseException | None] = lambda _: None) -> None:
        self._fail = fail
        self.batches: list[list[str]] = []
        self.handled: list[str] = []

    async def handle(self, batch: Sequence[Message]) -> None:
        self.batches.append([message.event.id for message in batch])
        for message in batch:
            if error := self._fail(message):
                raise error
        self.handled += self.batches[-1]


class FakeProducer:
    """Keeps what it is given; fails as often as it is told."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.failures: list[Exception] = []

    async def publish(self, topic: str, records: Sequence[OutgoingRecord]) -> None:
        assert topic == "dlq"
        if self.failures:
            raise self.failures.pop()
        self.records += records


def made(
    worker: Worker, producer: FakeProducer, *, timeout_s: float = 5, breaker: DeadLetterBreaker | None = None
) -> Delivery[Message]:
    metrics = Metrics("test")
    letters = DeadLetters(producer, metrics, topic="dlq", group="testers")  # type: ignore[arg-type]
    waiting = WaitStatus(metrics.waiting.set)
    return Delivery(
        worker, letters, metrics, waiting, max_attempts=3, timeout_s=timeout_s, breaker=breaker, impatient=True
    )


def record(offset: int, value: bytes | None, key: bytes | None = b"key") -> ConsumerRecord[Any, Any]:
    return ConsumerRecord(
        "im.events", 3, offset, 1_700_000_000_000 + offset, 0, key, value, None, 0, 0, (("traceparent", b"00-1"),)
    )


def records(ids: str) -> list[ConsumerRecord[Any, Any]]:
    return [record(offset, orjson.dumps(badge_event(name, "ann", 1))) for offset, name in enumerate(ids)]
