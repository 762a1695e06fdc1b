"""What a worker raises that is no plain Exception, or a group of them, and what its topics may not be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from common.topic import Topic
from consumers.errors import PoisonError, WorkerRefusedError, describe
from consumers.runtime.runtime import Runtime
from consumers.settings import ConsumersSettings
from consumers.worker import Message
from tests.consumers.runtime.deliveries import PARTITION, FakeProducer, Faulty, made, records


class UnshowableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (SystemExit("no licence"), "WorkerExitError: it raised SystemExit(no licence)"),
        (BaseException("odd"), "WorkerExitError: it raised BaseException(odd)"),
        (asyncio.CancelledError(), "WorkerExitError: it raised CancelledError()"),
        (UnshowableError(), "UnshowableError: its text cannot be shown"),
    ],
)
async def test_whatever_a_worker_raises_is_a_failure_on_its_event_and_neither_the_end_of_the_process_nor_of_its_work(
    producer: FakeProducer, error: BaseException, detail: str
) -> None:
    worker = Faulty(lambda message: error if message.event.id == "b" else None)
    await made(worker, producer).deliver(PARTITION, records("abc"), asyncio.Event())
    assert worker.handled == list("ac")
    [letter] = producer.records
    headers = dict(letter.headers)
    assert headers["detail"].decode() == detail
    assert "in handle\n    raise error\n" in headers["traceback"].decode()


async def test_a_group_of_errors_of_which_one_passes_by_waiting_is_no_dead_letter(producer: FakeProducer) -> None:
    """As `asyncio.TaskGroup` raises it where one of its tasks meets a server that is away."""
    group = ExceptionGroup("of tasks", [KeyError("x"), ExceptionGroup("inner", [ConnectionResetError(104, "reset")])])
    errors: list[BaseException] = [group] * 20
    worker = Faulty(lambda _: errors.pop() if errors else None)
    await made(worker, producer).deliver(PARTITION, records("a"), asyncio.Event())
    assert worker.handled == ["a"]
    assert producer.records == []
    assert describe(group) == "ConnectionResetError: [Errno 104] reset"
    assert describe(TimeoutError()) == "no answer in time (TimeoutError)"


async def test_a_group_of_errors_that_stay_is_a_dead_letter_that_names_one(producer: FakeProducer) -> None:
    worker = Faulty(lambda _: ExceptionGroup("of tasks", [KeyError("x"), ValueError()]))
    await made(worker, producer).deliver(PARTITION, records("a"), asyncio.Event())
    [letter] = producer.records
    assert dict(letter.headers)["detail"] == b"KeyError: 'x'"


async def test_a_record_on_whose_reading_a_worker_would_exit_is_a_dead_letter(producer: FakeProducer) -> None:
    class Exits(Faulty):
        def read(self, record: ConsumerRecord) -> Message | None:
            raise SystemExit(9)

    await made(Exits(), producer).deliver(PARTITION, records("a"), asyncio.Event())
    [letter] = producer.records
    assert dict(letter.headers)["reason"] == b"not_an_event"


async def test_a_delivery_that_is_cancelled_ends_and_makes_no_dead_letter(producer: FakeProducer) -> None:
    class Endless(Faulty):
        begun = asyncio.Event()

        async def handle(self, batch: Sequence[Message]) -> None:
            self.begun.set()
            await asyncio.Event().wait()

    worker = Endless()
    task = asyncio.create_task(made(worker, producer).deliver(PARTITION, records("a"), asyncio.Event()))
    await worker.begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert producer.records == []


@pytest.mark.parametrize(
    ("topic", "topics", "told"),
    [
        (5, [], "names no topics: ValueError: 5 is no name of a topic"),
        ("im events", [], "names no topics: ValueError: 'im events' is no name that Kafka takes"),
        ("im.events", ["im.mine"], "'im.mine' is no common.topic.Topic"),
        ("im.events", None, "names no topics: TypeError"),
    ],
)
def test_a_worker_whose_topics_are_none_is_refused_at_the_start(topic: Any, topics: Any, told: str) -> None:
    class Odd(Faulty):
        def topic(self, settings: ConsumersSettings) -> str:
            return topic  # type: ignore[no-any-return]

        def topics(self, settings: ConsumersSettings) -> Sequence[Topic]:
            return topics  # type: ignore[no-any-return]

    with pytest.raises(WorkerRefusedError, match=told):
        Runtime(Odd(), ConsumersSettings.model_validate({}))


async def test_poison_that_names_no_message_of_its_batch_is_found_as_any_other_failure(producer: FakeProducer) -> None:
    """As where a worker names the event in place of the message that it was given."""
    worker = Faulty(lambda message: PoisonError(message.event, "odd") if message.event.id == "b" else None)
    await made(worker, producer).deliver(PARTITION, records("abcd"), asyncio.Event())
    assert worker.handled == list("acd")
    [letter] = producer.records
    assert dict(letter.headers)["detail"] == b"PoisonError: odd"
