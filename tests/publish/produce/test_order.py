"""Whatever brokers and connections do: nothing is lost, each key keeps its order, a retry writes nothing twice."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bridge.journal.groups import PendingRecord
from bridge.journal.journal import Journal
from bridge.journal.record import Record
from bridge.publish.pacing import Arrivals, Pace, RoundSize
from bridge.publish.producer_session import ConnectedProducer, ProducerLostError, ProducerSession, Survivors
from bridge.publish.rejection_search import RejectionSearch
from bridge.publish.window import Window
from bridge.settings import BridgeSettings
from tests.publish.produce.model_broker import ModelBrokers, ModelClient
from tests.support.outlet import ToldOutlet
from tests.support.virtual_time import VirtualTimeLoop

TOPIC = "im.events"
KEYS = 8
RECORDS = 300


class Story:
    """Records that are appended now and then, and published on one producer after the other."""

    def __init__(self, folder: Path, brokers: ModelBrokers) -> None:
        settings = BridgeSettings.model_validate({"apps": {"1": ["token"]}, "journal_dir": folder})
        self.journal = Journal.from_settings(settings, outlet=ToldOutlet())
        self.brokers = brokers
        self.acknowledged_too_soon: list[bytes] = []
        self.lost: list[str] = []
        """Why producers were given up."""
        self._window = Window(self.journal.queue(TOPIC), self.journal)
        self._session: ProducerSession | None = None

    async def tell(self) -> None:
        """From the first record until all are confirmed."""
        publishing = asyncio.ensure_future(self._publish())
        for number in range(RECORDS):
            key, value = b"%d" % self.brokers.random.randrange(KEYS), b"%d" % number
            self.journal.append(Record(TOPIC, key, value, [], 0), partial(self._reply, value), forced=True)
            if self.brokers.random.random() < 0.3:
                self.journal.flush()
                if self._session is not None:
                    self._session.wake()
                await asyncio.sleep(self.brokers.random.random() * 0.03)
        self.journal.flush()
        while not self.journal.is_drained:
            if self._session is not None:
                self._session.wake()
            await asyncio.sleep(0.1)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await asyncio.sleep(60)  # What is still on its way arrives.

    def _reply(self, value: bytes, durable: bool) -> None:
        if durable and not any(value == one.value for log in self.brokers.logs for one in log):
            self.acknowledged_too_soon.append(value)

    async def _publish(self) -> None:
        survivors = Survivors(self._window, Pace(Arrivals()), RoundSize(), RejectionSearch())
        while True:
            client: Any = ModelClient(self.brokers)
            self._session = ProducerSession(
                ConnectedProducer(client, TOPIC, len(self.brokers.logs), None),
                survivors,
                keep_too_large=self._keep_nothing,
                disk_ok=lambda: True,
                stall_s=60.0,
                on_published=lambda _: None,
            )
            try:
                await asyncio.ensure_future(self._session.run())
            except* ProducerLostError as lost:
                self.lost.append(str(lost.exceptions[0]))
                await client.abandon()

    async def _keep_nothing(self, _pending: PendingRecord, _size: int) -> bool:
        raise AssertionError("nothing is too large")


def told(folder: Path, brokers: ModelBrokers) -> Story:
    """The story with these brokers, from its beginning to its end, in no time."""
    loop = VirtualTimeLoop()

    async def tell() -> Story:
        story = Story(folder, brokers)
        await asyncio.wait_for(story.tell(), 3600)
        return story

    try:
        return loop.run_until_complete(tell())
    finally:
        loop.end()


def judge(brokers: ModelBrokers, story: Story, seed: int) -> None:
    assert not story.acknowledged_too_soon, f"seed {seed}"
    by_key: dict[bytes, list[int]] = defaultdict(list)
    for log in brokers.logs:
        for one in log:
            if int(one.value) not in by_key[one.key]:  # First occurrences count.
                by_key[one.key].append(int(one.value))
    assert sum(map(len, by_key.values())) == RECORDS, f"seed {seed}"
    for key, values in by_key.items():
        assert values == sorted(values), f"seed {seed}, key {key!r}"


def test_no_fault_that_passes_loses_a_record_or_writes_it_twice_or_changes_the_order(tmp_path: Path) -> None:
    pipelined = 0
    for seed in range(40):
        brokers = ModelBrokers(Random(seed), partitions=3, fault_rate=(seed % 5) * 0.06)
        story = told(tmp_path, brokers)
        judge(brokers, story, seed)
        pipelined = max(pipelined, brokers.max_pipelined)
        assert not story.lost, f"seed {seed}"
        for log in brokers.logs:
            assert len({one.value for one in log}) == len(log), f"seed {seed}"
    assert pipelined == 2, "it tries nothing where a batch never follows another one into the flight"


def test_no_fault_that_costs_the_producer_loses_a_record_or_changes_the_order(tmp_path: Path) -> None:
    producers = 0
    for seed in range(40):
        brokers = ModelBrokers(Random(seed), partitions=3, fault_rate=0.15, fatal_rate=0.02)
        judge(brokers, told(tmp_path, brokers), seed)
        producers = max(producers, brokers.new_producer_id() - 1)
    assert producers > 3
