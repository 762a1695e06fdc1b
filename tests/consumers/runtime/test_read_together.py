"""What happens to records that a worker reads as a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import orjson
import pytest
from aiokafka import ConsumerRecord

from consumers.errors import WorkerRefusedError
from consumers.worker import Message
from tests.consumers.runtime.deliveries import PARTITION, FakeProducer, Faulty, made, record, records
from tests.support.badge_model import badge_event


class Together(Faulty):
    """Reads records together where it can; knows how often it read one by itself."""

    def __init__(self, fail: Callable[[Message], BaseException | None] = lambda _: None) -> None:
        super().__init__(fail)
        self.read_alone = 0

    def read(self, record: ConsumerRecord) -> Message | None:
        self.read_alone += 1
        message = super().read(record)
        return None if message is None or message.event.id.startswith("skip") else message

    def read_batch(self, records: Sequence[ConsumerRecord]) -> Sequence[Message | None] | None:
        read = [self.read(record) for record in records]
        self.read_alone = 0
        return read


async def test_what_is_read_together_is_handled_skipped_and_halved_as_what_is_read_alone(
    producer: FakeProducer,
) -> None:
    worker = Together(lambda message: ValueError("no") if message.event.id == "c" else None)
    delivery = made(worker, producer)
    mixed = records("abcd")
    mixed[1] = record(11, orjson.dumps(badge_event("skip", "ann", 1)))
    await delivery.deliver(PARTITION, mixed, asyncio.Event())
    assert worker.handled == ["a", "d"]
    assert worker.read_alone == 0
    assert delivery._metrics.skipped._value.get() == 1
    assert [dict(one.headers)["original-offset"] for one in producer.records] == [b"%d" % mixed[2].offset]


async def test_a_batch_that_cannot_be_read_together_is_read_one_by_one_to_find_the_record_at_fault(
    producer: FakeProducer,
) -> None:
    worker = Together()
    broken = [*records("ab"), record(12, b"{"), record(13, orjson.dumps(badge_event("d", "ann", 1)))]
    await made(worker, producer).deliver(PARTITION, broken, asyncio.Event())
    assert worker.batches == [["a", "b"], ["d"]]
    assert [dict(one.headers)["original-offset"] for one in producer.records] == [b"12"]


async def test_a_worker_that_leaves_records_out_of_what_it_reads_together_is_told_so(producer: FakeProducer) -> None:
    class Leaving(Together):
        def read_batch(self, records: Sequence[ConsumerRecord]) -> Sequence[Message | None] | None:
            return [message for record in records if (message := self.read(record)) is not None]

    worker = Leaving()
    mixed = [*records("ab"), record(12, orjson.dumps(badge_event("skip", "ann", 1)))]
    with pytest.raises(WorkerRefusedError, match="gave 2 for 3 records"):
        await made(worker, producer).deliver(PARTITION, mixed, asyncio.Event())
    assert worker.handled == []
