"""A session with a broker in whose place the test answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.record.memory_records import MemoryRecords

from bridge.journal.groups import PendingRecord
from bridge.journal.journal import Journal
from bridge.journal.record import Record
from bridge.publish.pacing import Arrivals, Pace, RoundSize
from bridge.publish.produce.request import ProduceAnswer, ProduceRequest
from bridge.publish.producer_session import (
    ConnectedProducer,
    ProducerSession,
    Survivors,
)
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.window import Window
from bridge.settings import BridgeSettings
from common.kafka.partition import partition_of
from tests.support.outlet import ToldOutlet
from tests.support.produce_frames import batches_of, body_for

TOPIC = "im.events"
PARTITIONS = 2
LEADERS = (1, 2)
TOO_LARGE = MessageSizeTooLargeError.errno


class FakeBroker:
    """In the place of a client: keeps the batches that it is sent, for the test to answer."""

    def __init__(self, leaders: Sequence[int | None] = LEADERS) -> None:
        self.producer_id = 7
        self.producer_epoch = 0
        self.leaders = leaders
        self.looked = 0
        """How often it was asked to look for leaders."""
        self.greeted = 0
        """How often its leaders were greeted."""
        self.asked = 0
        """How often it was asked something while nothing was sent."""
        self.silence: KafkaError | None = None
        """Why it answers nothing that it is asked."""
        self.sent: list[SentBatch] = []
        self._more = asyncio.Event()

    def send(self, node: int, request: ProduceRequest) -> asyncio.Future[ProduceAnswer]:
        answer: asyncio.Future[ProduceAnswer] = asyncio.get_running_loop().create_future()
        batches = batches_of(body_for(request))
        codes: dict[int, int] = {}
        for partition, data in batches:
            self.sent.append(SentBatch(node, (partition, data), answer, codes, len(batches)))
        self._more.set()
        return answer

    def look_for_leaders(self) -> None:
        self.looked += 1

    async def greet_leaders(self, *, within_s: float) -> None:
        self.greeted += 1

    async def hear_a_leader(self, *, within_s: float) -> None:
        self.asked += 1
        if self.silence is not None:
            raise self.silence

    async def until_sent(self, number: int) -> SentBatch:
        """The batch with this number."""
        async with asyncio.timeout(60):
            while len(self.sent) <= number:
                self._more.clear()
                await self._more.wait()
        return self.sent[number]


class SentBatch:
    """A batch of a request, which is answered when all its batches are."""

    def __init__(
        self,
        node: int,
        batch: tuple[int, bytes],
        answer: asyncio.Future[ProduceAnswer],
        codes: dict[int, int],
        batches: int,
    ) -> None:
        self.node = node
        self.partition, self.data = batch
        self.batch = MemoryRecords(self.data).next_batch()
        self.records = list(self.batch)
        self.answer = answer
        self._codes = codes
        self._batches = batches

    def confirm(self) -> None:
        """It is in the log."""
        self.refuse(0)

    def refuse(self, code: int) -> None:
        """It is not in the log, for this reason."""
        self._codes[self.partition] = code
        if len(self._codes) == self._batches:
            self.answer.set_result(ProduceAnswer(self._codes, 0.0))


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
        self.task: asyncio.Future[Any] = asyncio.ensure_future(self.session.run())

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
            self.journal.append(Record(TOPIC, key_of(one), value, [], 0), forced=True)
        self.journal.flush()
        self.session.wake()


def key_of(partition: int) -> bytes:
    """A key of that partition."""
    return next(key for number in range(99) if partition_of(key := b"%d" % number, PARTITIONS) == partition)
