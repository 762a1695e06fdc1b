"""What a publisher does between the things that a real broker can be made to do: see `test_faults` for these."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import UnknownError
from aiokafka.producer.message_accumulator import BatchBuilder

from bridge.journal import topic_queue as lanes
from bridge.journal.journal import Journal
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from bridge.journal.topic_queue import Group, Lane
from bridge.journal.writer import Writer
from bridge.publish.pacing import BACKLOG_SHARE, Pace
from bridge.publish.publisher import BATCH_BYTES, ROUND_BYTES, LanePublisher, ProducerLostError
from bridge.publish.quarantine import RefusedRecords
from bridge.settings import BridgeSettings
from common.kafka.partition import partition_of
from common.logs import Throttle

TOPIC = "im.events"
PARTITIONS = 2


class Broker:
    """In the place of a producer: keeps the batches that it is sent, for the test to confirm."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, asyncio.Future[None]]] = []
        """Partition, number of records, confirmation."""
        self._more = asyncio.Event()

    async def partitions_for(self, _topic: str) -> set[int]:
        return set(range(PARTITIONS))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send_batch(self, batch: Any, _topic: str, *, partition: int) -> asyncio.Future[None]:
        confirmation: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((partition, batch.record_count(), confirmation))
        self._more.set()
        return confirmation

    async def until_sent(self, number: int) -> asyncio.Future[None]:
        """The confirmation of the batch with this number."""
        async with asyncio.timeout(5):
            while len(self.sent) <= number:
                self._more.clear()
                await self._more.wait()
        return self.sent[number][2]


class Bench:
    """A publisher with such a broker."""

    def __init__(self, folder: Path) -> None:
        settings = BridgeSettings.model_validate({"apps": {"1": ["token"]}, "journal_dir": folder})
        self.journal = Journal.of(settings)
        self.broker = Broker()
        self.publisher = LanePublisher(
            self.journal.lane(TOPIC), self.journal, RefusedRecords(folder, dlq_topic="dlq"), settings, Throttle()
        )
        self.journal.on_offer = lambda _lane: self.publisher.wake()
        self.journal.kafka_confirms = True
        broker: Any = self.broker
        self.task = asyncio.ensure_future(self.publisher._publish(broker))

    def accept(self, partition: int, *more: int, value: bytes = b"{}") -> None:
        """A record for each partition."""
        for one in (partition, *more):
            self.journal.append(Record(TOPIC, _key(one), value, [], 0), forced=True)
        self.journal.flush()


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
    with pytest.raises(ProducerLostError, match="a batch failed"):
        await bench.task
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


@pytest.mark.parametrize(("round_trip_s", "kibibytes"), [(0.005, ROUND_BYTES / 2048), (0.1, BATCH_BYTES / 1024)])
async def test_the_longer_kafka_takes_the_more_leaves_at_once(
    round_trip_s: float, kibibytes: float, bench: Bench
) -> None:
    bench.publisher._round_trip = round_trip_s
    bench.accept(*[0, 1] * 300, value=b"x" * 1024)
    await bench.broker.until_sent(1)
    for _, records, _ in bench.broker.sent:
        assert kibibytes * 0.8 < records < kibibytes


async def test_a_backlog_rests_until_its_work_was_no_more_than_its_share_of_the_time() -> None:
    pace = Pace()
    began = time.perf_counter()
    pace.start()
    with pace:
        while time.perf_counter() < began + 0.005:
            pass
    await pace.rest()
    assert time.perf_counter() - began >= 0.005 / BACKLOG_SHARE * 0.9


async def test_a_backlog_that_waited_for_kafka_long_enough_does_not_rest_as_well() -> None:
    pace = Pace()
    pace.start()
    with pace:
        pass
    await asyncio.sleep(0.01)
    resting = asyncio.ensure_future(pace.rest())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert resting.done()


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    made = Writer(asyncio.get_running_loop(), on_synced=lambda *_: None, on_failed=lambda *_: None)
    made.start()
    yield made
    made.stop()


async def test_a_backlog_that_cannot_be_read_now_is_read_when_the_disk_is_well_again(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "READ_AGAIN_S", 0.001)
    store = Store.create(tmp_path)
    store.write([Row(1, TOPIC, 1, 10, pack([Record(TOPIC, b"k", b"{}", [], 0)]))], [], sync=False)
    lane = Lane(TOPIC, 1024 * 1024, writer, lambda _lane: None)
    lane.inherit(store, 1)
    store._connection.execute("ALTER TABLE groups RENAME TO elsewhere")  # An OperationalError, as of a failing disk.
    taking: asyncio.Future[Group | None] = asyncio.ensure_future(lane.take())
    done, _ = await asyncio.wait([taking], timeout=0.05)
    assert not done
    store._connection.execute("ALTER TABLE elsewhere RENAME TO groups")
    group = await asyncio.wait_for(taking, 5)
    assert group is not None
    assert group.seq == 1
    store.close()


def _key(partition: int) -> bytes:
    """A key of that partition."""
    return next(key for number in range(99) if partition_of(key := b"%d" % number, PARTITIONS) == partition)
