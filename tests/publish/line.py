"""A journal and a publisher in this process, fed for as long as a test likes, and judged by what is in the topic."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge import metrics
from bridge.journal.journal import Journal
from bridge.journal.record import Record
from bridge.publish.publisher import Publisher
from bridge.settings import BridgeSettings
from tests.support.topic import TopicMessage, Topics, read_all

KEYS = 50
EVERY_S = 0.002


class Line:
    """Records of KEYS keys, numbered through, on their way to a topic."""

    def __init__(self, folder: Path, bootstrap: str, topics: Topics, **settings: Any) -> None:
        self._topics = topics
        self._bootstrap = bootstrap
        given = {
            "apps": {"1": ["token"]},
            "journal_dir": folder,
            "kafka_bootstrap_servers": bootstrap,
            "topic": topics.events,
            "dlq_topic": topics.dlq,
        }
        self._settings = BridgeSettings.model_validate({**given, **settings})
        self.publisher = Publisher(self._settings)
        self.journal = Journal.from_settings(self._settings, outlet=self.publisher)
        self.appended = 0
        self.durable = 0
        """How many of these somebody was told are durable."""
        self._replaced_before = replaced()

    @property
    def replaced(self) -> int:
        """How many producers were given up."""
        return replaced() - self._replaced_before

    @asynccontextmanager
    async def feeding(self) -> AsyncIterator[None]:
        """Within the block records are appended, some in each round trip."""
        if not self.appended:
            await self.journal.start()
            self.publisher.start(self.journal)
            await _until(lambda: self.publisher.confirms)
        task = asyncio.ensure_future(self._feed())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end(self) -> list[TopicMessage]:
        """All that is in the topic when all is confirmed."""
        await _until(lambda: self.journal.is_drained)
        await self.publisher.stop()
        await self.journal.stop(10)
        return await asyncio.to_thread(read_all, self._bootstrap, self._topics.events)

    async def advance(self, records: int) -> None:
        """Until so many more are durable."""
        target = self.durable + records
        await _until(lambda: self.durable >= target)

    async def _feed(self) -> None:
        while True:
            value = b"%d" % self.appended
            key = b"key-%d" % (self.appended % KEYS)
            now_ms = time.time_ns() // 1_000_000
            self.journal.append(
                Record(self._topics.events, key, value, [("n", value)], now_ms), self._reply, forced=True
            )
            self.appended += 1
            self.journal.flush()
            await asyncio.sleep(EVERY_S)

    def _reply(self, durable: bool) -> None:
        self.durable += durable


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - what it looks at offers no event
            await asyncio.sleep(0.02)


def replaced() -> int:
    """How many producers this process has given up."""
    return int(metrics.PRODUCER_REPLACED._value.get())


def judge(messages: list[TopicMessage], appended: int, *, twice: bool = False) -> None:
    """Nothing is lost or out of order, nor there twice unless the test allows it."""
    by_key: dict[bytes | None, list[int]] = defaultdict(list)
    for message in messages:
        number = int(message.value or b"-1")
        if not (twice and number in by_key[message.key]):
            by_key[message.key].append(number)
    assert sum(map(len, by_key.values())) == appended
    for key, numbers in by_key.items():
        assert numbers == sorted(set(numbers)), key
