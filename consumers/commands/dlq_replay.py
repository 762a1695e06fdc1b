"""Gives dead letters to the worker that gave them up, and to nobody else.

A letter is not put back on the topic of events, which every group reads: the worker runs in this process, is started
as ever, and is given the record as it was, with its topic, partition, offset, timestamp and headers. Its own processes
may be at work meanwhile. When it has handled the letter a marker is written; killed between the two, the letter is
replayed again. What it fails on once more stays where it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from aiokafka import ConsumerRecord

from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_replay import NotReplayableError, ReplayProgress, ReportReplay, for_each_letter
from common.kafka.dead_letters import DeadLetter, done_topic, marker
from common.kafka.topics import ensure_topics
from consumers.errors import describe, failure_of
from consumers.metrics import Metrics
from consumers.progress import retry_and_report
from consumers.runtime import delivery
from consumers.runtime.dead_letters import ADDED_HEADERS
from consumers.runtime.producer import Producer
from consumers.settings import ConsumersSettings
from consumers.worker import BaseWorker, Context, OutgoingRecord

_TOPICS_TIMEOUT_S = 20.0

MarkerOutcome = Literal["replayed", "dropped"]
"""What the marker of a letter says."""


class Replay:
    """Works on the open dead letters that a filter admits.

    Args:
        settings: connection and topics.
        chosen: which letters.
        rate: letters a second at most, None: as fast as it goes.
        dry_run: only count.
        report: told after each letter, and when something is waited for.
    """

    def __init__(
        self,
        settings: ConsumersSettings,
        chosen: DeadLetterFilter,
        *,
        rate: float | None = None,
        dry_run: bool = False,
        report: ReportReplay = lambda _: None,
    ) -> None:
        self._settings = settings
        self._chosen = chosen
        self._rate = rate
        self._dry_run = dry_run
        self._report = report
        self._client = settings.kafka_client()
        self._producer = Producer(settings.kafka_client)
        self._done_topic = done_topic(settings.dead_letters)
        self._progress = ReplayProgress()

    async def drop(self) -> ReplayProgress:
        """Mark the letters as done without handling them.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be used.
            TopicsMissingError: there is no topic for markers, and we may not make it.
        """

        async def handle(_letter: DeadLetter) -> None:
            """Nothing is to be done."""

        return await self._work_through(handle, "dropped")

    async def replay(self, worker: BaseWorker[Any], group: str) -> ReplayProgress:
        """Give the letters of a consumer group to its worker.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be used.
            TopicsMissingError: there is no topic for markers, and we may not make it.
            whatever the worker raises when it is started.
        """
        self._chosen = replace(self._chosen, group=group)
        timeout_s = self._settings.handle_timeout_s

        async def handle(letter: DeadLetter) -> None:
            original = original_record(letter)
            try:
                message = worker.read(original)
            except BaseException as error:
                raise failure_of(error) from error
            if message is not None:
                async with asyncio.timeout(timeout_s):
                    await delivery.handle(worker, [message])

        try:
            if not self._dry_run:
                async with asyncio.timeout(timeout_s):
                    await worker.start(Context(self._settings, self._producer, Metrics(worker.name), alone=False))
            return await self._work_through(handle, "replayed")
        finally:
            with contextlib.suppress(Exception):
                await worker.stop()

    async def _work_through(
        self, handle: Callable[[DeadLetter], Awaitable[None]], outcome: MarkerOutcome
    ) -> ReplayProgress:
        async def count(_letter: DeadLetter) -> None:
            """A dry run only counts."""

        async def handle_and_mark(letter: DeadLetter) -> None:
            try:
                await retry_and_report(lambda: handle(letter), self._progress, self._report)
                # Apart from the work, which must not be done again because a marker cannot be written now.
                await retry_and_report(lambda: self._mark(letter, outcome), self._progress, self._report)
            except NotReplayableError:
                raise
            except Exception as error:
                raise NotReplayableError(describe(error)) from error

        try:
            if not self._dry_run:
                async with asyncio.timeout(_TOPICS_TIMEOUT_S):
                    await ensure_topics(self._client, [self._done_topic])
            await for_each_letter(
                self._client,
                self._settings.dlq_topic,
                self._chosen,
                count if self._dry_run else handle_and_mark,
                rate=None if self._dry_run else self._rate,
                progress=self._progress,
                report=self._report,
            )
        finally:
            await self._producer.stop()
        return self._progress

    async def _mark(self, letter: DeadLetter, outcome: MarkerOutcome) -> None:
        done = marker(letter, outcome)
        await self._producer.publish(self._done_topic.name, [OutgoingRecord(done.key, done.value)])


def original_record(letter: DeadLetter) -> ConsumerRecord:
    """The record that became the letter.

    Raises:
        NotReplayableError: its value was too large for the letter, or no worker wrote the letter.
    """
    headers = letter.headers
    topic, partition, offset = (headers.get(f"original-{name}") for name in ("topic", "partition", "offset"))
    if headers.get("value-omitted") == "true":
        raise NotReplayableError(
            f"its value was too large to be kept; the record is {topic}-{partition} offset {offset}"
        )
    if topic is None or partition is None or offset is None:
        raise NotReplayableError("it is no dead letter of a worker")
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
        _without_added_headers(record.headers),
    )


def _without_added_headers(headers: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    kept, seen = [], set()
    for name, value in reversed(headers):
        # The record may have had headers of these names; ours are behind.
        if name in ADDED_HEADERS and name not in seen:
            seen.add(name)
        else:
            kept.append((name, value))
    return tuple(reversed(kept))
