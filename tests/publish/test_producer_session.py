"""What a session does between the things that a real broker can be made to do: see `tests/system/test_faults.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, UnknownError
from aiokafka.producer.message_accumulator import BatchBuilder

from bridge.journal.groups import PendingRecord
from bridge.journal.journal import Journal
from bridge.journal.record import Record
from bridge.publish.pacing import ROUND_BYTES, Arrivals, Pace, RoundSize
from bridge.publish.producer_session import (
    MAX_BATCH_BYTES,
    ConnectedProducer,
    ProducerLostError,
    ProducerSession,
    Survivors,
)
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.window import Window
from bridge.settings import BridgeSettings
from common.kafka.partition import partition_of
from tests.support.outlet import ToldOutlet

TOPIC = "im.events"
PARTITIONS = 2


class FakeBroker:
    """In the place of a producer: keeps the batches that it is sent, for the test to confirm."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, asyncio.Future[None]]] = []
        """Partition, number of records, confirmation."""
        self._more = asyncio.Event()

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(MAX_BATCH_BYTES, 0)

    async def send_batch(self, batch: Any, _topic: str, *, partition: int) -> asyncio.Future[None]:
        confirmation: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((partition, batch.record_count(), confirmation))
        self._more.set()
        return confirmation

    async def until_sent(self, number: int) -> asyncio.Future[None]:
        """The confirmation of the batch with this number."""
        async with asyncio.timeout(60):
            while len(self.sent) <= number:
                self._more.clear()
                await self._more.wait()
        return self.sent[number][2]


class Bench:
    """A session with such a broker."""

    def __init__(self, folder: Path, max_message_bytes: int | None = None) -> None:
        settings = BridgeSettings.model_validate({"apps": {"1": ["token"]}, "journal_dir": folder})
        self.journal = Journal.from_settings(settings, outlet=ToldOutlet())
        self.broker = FakeBroker()
        self.round_size = RoundSize()
        self.search = RejectionSearch()
        self.kept_bytes: list[int] = []
        """Sizes of batches that were kept for being too large."""
        self.keeps_too_large = True
        """Else the broker says, when it is asked again, that it takes them."""
        self.published = 0
        self.has_published = asyncio.Event()
        self.window = Window(self.journal.queue(TOPIC), self.journal)
        self.session = self.session_on(self.broker, max_message_bytes)
        self.task = asyncio.ensure_future(self.session.run())

    def session_on(self, broker: Any, max_message_bytes: int | None = None) -> ProducerSession:
        """A session on this broker, of what the one before has left."""
        return ProducerSession(
            ConnectedProducer(broker, TOPIC, PARTITIONS, max_message_bytes),
            Survivors(self.window, Pace(Arrivals()), self.round_size, self.search),
            keep_too_large=self._keep_too_large,
            disk_ok=lambda: True,
            stall_s=60.0,
            on_published=self._count,
        )

    async def _keep_too_large(self, pending: PendingRecord, size: int) -> bool:
        if not self.keeps_too_large:
            return False
        self.kept_bytes.append(size)
        self.window.confirm([pending])
        return True

    def _count(self, records: int) -> None:
        self.published += records
        self.has_published.set()

    def accept(self, partition: int, *more: int, value: bytes = b"{}") -> None:
        """A record for each partition."""
        for one in (partition, *more):
            self.journal.append(Record(TOPIC, _key(one), value, [], 0), forced=True)
        self.journal.flush()
        self.session.wake()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


async def test_after_a_batch_failed_nothing_more_is_sent_that_could_overtake_it(bench: Bench) -> None:
    bench.accept(0)
    first = await bench.broker.until_sent(0)
    bench.accept(0)
    first.set_exception(UnknownError())
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match="a batch failed")
    assert len(bench.broker.sent) == 1


async def test_a_partition_that_is_not_confirmed_holds_up_the_others_for_a_moment_only(bench: Bench) -> None:
    bench.accept(0)
    bench.accept(1)
    stuck, confirmed = await bench.broker.until_sent(0), await bench.broker.until_sent(1)
    bench.accept(1)
    confirmed.set_result(None)  # And nothing else comes that would wake it.
    await bench.broker.until_sent(2)
    assert [partition for partition, _, _ in bench.broker.sent] == [0, 1, 1]
    assert not stuck.done()


@pytest.mark.parametrize(("round_trip_s", "kibibytes"), [(0.005, ROUND_BYTES / 2048), (0.1, MAX_BATCH_BYTES / 1024)])
async def test_the_longer_kafka_takes_the_more_leaves_at_once(
    round_trip_s: float, kibibytes: float, bench: Bench
) -> None:
    for _ in range(200):
        bench.round_size.confirmed_after(round_trip_s)
    bench.accept(*[0, 1] * 300, value=b"x" * 1024)
    await bench.broker.until_sent(1)
    for _, records, _ in bench.broker.sent:
        assert kibibytes * 0.8 < records < kibibytes


async def test_a_batch_that_is_refused_narrows_the_search_until_one_record_is_found(bench: Bench) -> None:
    bench.accept(0, 0, 0, 0)
    (await bench.broker.until_sent(0)).set_exception(MessageSizeTooLargeError())
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match="a batch of 4 records was refused")
    assert bench.search.batch_records == 2
    assert bench.search.found is None
    assert bench.search.pop_has_narrowed()


async def test_what_other_partitions_accept_in_the_same_answer_does_not_undo_the_search(bench: Bench) -> None:
    bench.accept(0, 0, 0, 0, 1)
    rejected, accepted = await bench.broker.until_sent(0), await bench.broker.until_sent(1)
    rejected.set_exception(MessageSizeTooLargeError())
    accepted.set_result(None)
    await asyncio.gather(bench.task, return_exceptions=True)
    assert bench.search.batch_records == 2


async def test_a_session_that_is_lost_ends_though_publishing_waits_for_something_that_never_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept(0)
    first = await bench.broker.until_sent(0)

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.window, "lease", never)
    bench.session.wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.set_exception(UnknownError())
    with pytest.raises(ExceptionGroup) as lost:
        await asyncio.wait_for(bench.task, 60)
    assert lost.group_contains(ProducerLostError, match="a batch failed")


async def test_a_record_that_is_refused_alone_is_the_one_until_it_is_kept_elsewhere(bench: Bench) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).set_exception(MessageSizeTooLargeError())
    await asyncio.gather(bench.task, return_exceptions=True)
    found = bench.search.found
    assert found is not None
    assert found.pending.record.key == _key(0)
    bench.search.forget_found()
    assert bench.search.found is None


async def test_a_record_too_large_for_the_topic_goes_to_quarantine_and_those_behind_it_are_sent(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, max_message_bytes=2048)
    bench.accept(0, value=b"x" * 4096)
    bench.accept(0)
    (await bench.broker.until_sent(0)).set_result(None)
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert bench.journal.is_drained
    (size,) = bench.kept_bytes
    assert 4096 < size < 5000
    assert bench.published == 1
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_a_record_that_the_topic_takes_since_its_limit_was_raised_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_message_bytes=2048)
    bench.keeps_too_large = False
    bench.accept(0, value=b"x" * 4096)
    (await bench.broker.until_sent(0)).set_result(None)
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert (bench.kept_bytes, bench.published) == ([], 1)
    assert bench.journal.is_drained
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_what_a_lost_producer_had_in_flight_is_given_to_the_next_in_its_order(bench: Bench) -> None:
    bench.accept(0, 0)
    await bench.broker.until_sent(0)
    bench.accept(0)
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)
    second = FakeBroker()
    task = asyncio.ensure_future(bench.session_on(second).run())
    (await second.until_sent(0)).set_result(None)
    assert second.sent[0][:2] == (0, 3)
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert bench.journal.is_drained
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _key(partition: int) -> bytes:
    """A key of that partition."""
    return next(key for number in range(99) if partition_of(key := b"%d" % number, PARTITIONS) == partition)
