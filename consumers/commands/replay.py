"""Gives dead letters to the worker that gave them up, and to nobody else.

A letter is not put back on the topic of events, which every group reads: the worker runs in this process, is started
as ever, and is given the record as it was, with its topic, partition, offset, timestamp and headers. Its own processes
may be at work meanwhile. When it has handled the letter a marker is written; killed between the two, the letter is
replayed again. What it fails on once more stays where it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import ConsumerRecord

from common.kafka.dead_letters import DeadLetter, Filter, done_topic, marker, open_letters
from common.kafka.topics import ensure_topics
from common.retry import backoff
from consumers.errors import describe, is_passing
from consumers.metrics import Metrics
from consumers.runtime.producer import Producer, Record
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context

ADDED_HEADERS = frozenset(
    {
        "reason",
        "detail",
        "group",
        "attempts",
        "traceback-hash",
        "original-topic",
        "original-partition",
        "original-offset",
        "original-timestamp",
        "value-omitted",
    }
)
"""Headers that make a record a dead letter; see consumers/runtime/dead_letters.py."""

_TOPICS_S = 20.0


@dataclass
class Outcome:
    """How far a command on dead letters is."""

    total: int = 0
    read: int = 0
    """Of the topic's records."""
    done: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Name of the letter and why it stays."""
    failures: int = 0
    waiting_for: str | None = None


Report = Callable[[Outcome], None]
Work = Callable[[DeadLetter], Awaitable[None]]
_SHOWN_FAILURES = 100


class Unusable(Exception):  # noqa: N818 - says what a letter is
    """A letter cannot be replayed. The message says why."""


class Replay:
    """Works on the open dead letters that a filter admits.

    Args:
        settings: connection and topics.
        chosen: which letters.
        rate: most letters a second, None: as fast as it goes.
        dry_run: only count.
        report: told after each letter, and when something is waited for.
    """

    def __init__(
        self,
        settings: ConsumersSettings,
        chosen: Filter,
        *,
        rate: float | None = None,
        dry_run: bool = False,
        report: Report = lambda _: None,
    ) -> None:
        self._settings = settings
        self._chosen = chosen
        self._rate = rate
        self._dry_run = dry_run
        self._report = report
        self._client = settings.kafka_client()
        self._producer = Producer(settings.kafka_client)
        self._done = done_topic(settings.dead_letters)
        self._outcome = Outcome()

    async def drop(self) -> Outcome:
        """Mark them as done."""

        async def work(_letter: DeadLetter) -> None:
            """Nothing is to be done."""

        return await self._each(work, "dropped")

    async def replay(self, worker: BaseWorker[Any], group: str) -> Outcome:
        """Give those of `group` to the worker."""
        self._chosen = replace(self._chosen, group=group)
        timeout_s = self._settings.handle_timeout_s

        async def work(letter: DeadLetter) -> None:
            message = worker.read(original(letter))
            if message is not None:
                async with asyncio.timeout(timeout_s):
                    await worker.handle([message])

        try:
            if not self._dry_run:
                async with asyncio.timeout(timeout_s):
                    await worker.start(Context(self._settings, self._producer, Metrics(worker.name), alone=False))
            return await self._each(work, "replayed")
        finally:
            with contextlib.suppress(Exception):
                await worker.stop()

    async def _each(self, work: Work, outcome: str) -> Outcome:
        try:
            if not self._dry_run:
                async with asyncio.timeout(_TOPICS_S):
                    await ensure_topics(self._client, [self._done])
            async with contextlib.aclosing(self._letters()) as letters:
                async for letter in letters:
                    await self._one(letter, work, outcome)
        finally:
            await self._producer.stop()
        return self._outcome

    async def _letters(self) -> AsyncGenerator[DeadLetter, None]:
        loop = asyncio.get_running_loop()
        due = loop.time()
        letters = open_letters(self._client, self._settings.dlq_topic, self._chosen, report=self._progress)
        async with contextlib.aclosing(letters):
            async for letter in letters:
                if self._rate is not None and not self._dry_run:
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    due = max(due, loop.time()) + 1 / self._rate
                yield letter

    async def _one(self, letter: DeadLetter, work: Work, outcome: str) -> None:
        try:
            if not self._dry_run:
                await self._until_it_passes(lambda: work(letter))
                # Apart from the work, which must not be done again because a marker cannot be written now.
                await self._until_it_passes(lambda: self._mark(letter, outcome))
        except Exception as error:  # noqa: BLE001 - a worker may raise anything
            self._outcome.failures += 1
            if len(self._outcome.failed) < _SHOWN_FAILURES:
                self._outcome.failed.append((letter.name, describe(error)))
        else:
            self._outcome.done += 1
        self._report(self._outcome)

    async def _until_it_passes(self, action: Callable[[], Awaitable[None]]) -> None:
        for delay in backoff():
            try:
                await action()
            except Exception as error:
                if not is_passing(error):
                    raise
                self._outcome.waiting_for = describe(error)
                self._report(self._outcome)
                await asyncio.sleep(delay)
            else:
                break
        self._outcome.waiting_for = None

    async def _mark(self, letter: DeadLetter, outcome: str) -> None:
        done = marker(letter, outcome)
        await self._producer.publish(self._done.name, [Record(done.key, done.value)])

    def _progress(self, read: int, total: int) -> None:
        self._outcome.read, self._outcome.total = read, total
        self._report(self._outcome)


def original(letter: DeadLetter) -> ConsumerRecord:
    """The record that became the letter.

    Raises:
        Unusable: its value was too large for the letter.
    """
    headers = letter.headers
    topic, partition, offset = (headers.get(f"original-{name}") for name in ("topic", "partition", "offset"))
    if headers.get("value-omitted") == "true":
        raise Unusable(f"its value was too large to be kept; the record is {topic}-{partition} offset {offset}")
    if topic is None or partition is None or offset is None:
        raise Unusable("it is no dead letter of a worker")
    kept, seen = [], set()
    for name, value in reversed(letter.record.headers):
        # The record may have had headers of these names; ours are behind.
        if name in ADDED_HEADERS and name not in seen:
            seen.add(name)
        else:
            kept.append((name, value))
    record = letter.record
    return ConsumerRecord(
        topic,
        int(partition),
        int(offset),
        int(headers.get("original-timestamp", record.timestamp)),
        record.timestamp_type,
        record.key or None,
        record.value,
        None,
        record.serialized_key_size,
        record.serialized_value_size,
        tuple(reversed(kept)),
    )
