"""Gives fetched records to a worker until every one of them is handled, skipped or a dead letter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from bridge.events import InvalidEventError, parse_event
from common.backoff import backoff
from consumers.connection import Waiting
from consumers.dead_letters import DeadLetters, Source
from consumers.errors import describe, is_passing
from consumers.metrics import DeadLetterReason, Metrics
from consumers.worker import Message, Worker


class StoppedError(Exception):
    """The partition was given back before its batch was done; the batch comes again, to whoever has it then."""


class _Type(msgspec.Struct):
    type: str


_type_of = msgspec.json.Decoder(_Type).decode


def read(record: ConsumerRecord, wanted: frozenset[str] | None) -> Message | None:
    """The message that a record carries, None if its event is not of the types `wanted` (None: of all).

    Raises:
        InvalidEventError: it carries no event.
    """
    value: bytes | None = record.value
    if value is None:
        raise InvalidEventError("the record has no value")
    if wanted is not None:
        try:
            if _type_of(value).type not in wanted:
                return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidEventError(f"no event of this contract: {error}") from error
    return Message(
        parse_event(value),
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        value,
        record.headers,
    )


class Delivery:
    """Delivers batches of one partition each, of any number of partitions side by side."""

    def __init__(
        self,
        worker: Worker,
        dead_letters: DeadLetters,
        metrics: Metrics,
        waiting: Waiting,
        *,
        attempts: int,
        timeout_s: float,
    ) -> None:
        self._worker = worker
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._waiting = waiting
        self._attempts = attempts
        self._timeout_s = timeout_s

    async def deliver(
        self, partition: TopicPartition, records: Sequence[ConsumerRecord], stopping: asyncio.Event
    ) -> None:
        """Deliver records in their order. When it returns their offsets may be committed.

        Raises:
            StoppedError: `stopping` was set while something was away.
        """
        batch: list[Message] = []
        skipped = 0
        run = _Run(partition, stopping)
        try:
            for record in records:
                try:
                    message = read(record, self._worker.event_types)
                except Exception as error:  # noqa: BLE001 - whatever parsing raises, the record will not get better
                    await self._give_up(run, record, error, attempts=1)
                else:
                    if message is None:
                        skipped += 1
                    else:
                        batch.append(message)
            self._metrics.skipped.inc(skipped)
            if batch:
                await self._handle(run, batch)
        finally:
            self._waiting.end(partition)

    async def _handle(self, run: _Run, batch: Sequence[Message]) -> None:
        try:
            await self._until_it_passes(run, lambda: self._worker.handle(batch))
        except StoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - a worker may raise anything
            self._metrics.retried("failed")
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._handle(run, batch[:middle])
                await self._handle(run, batch[middle:])
            else:
                await self._suspect(run, batch, error)
        else:
            self._metrics.handled.inc(len(batch))

    async def _suspect(self, run: _Run, batch: Sequence[Message], error: Exception) -> None:
        """Try a single event that failed once until it is handled or has failed often enough."""
        attempts = 1
        for delay in backoff(most=1.0):
            if attempts >= self._attempts:
                break
            await run.pause(delay)
            attempts += 1
            try:
                await self._until_it_passes(run, lambda: self._worker.handle(batch))
            except StoppedError:
                raise
            except Exception as again:  # noqa: BLE001 - a worker may raise anything
                error = again
                self._metrics.retried("failed")
            else:
                self._metrics.handled.inc()
                return
        await self._give_up(run, batch[0], error, attempts=attempts)

    async def _give_up(self, run: _Run, source: Source, error: Exception, *, attempts: int) -> None:
        reason: DeadLetterReason = "not_an_event" if isinstance(source, ConsumerRecord) else "handler_failed"
        await self._until_it_passes(
            run, lambda: self._dead_letters.publish(source, error, reason, attempts), limited=False
        )

    async def _until_it_passes(self, run: _Run, action: Callable[[], Awaitable[None]], *, limited: bool = True) -> None:
        for delay in backoff():
            try:
                async with asyncio.timeout(self._timeout_s if limited else None):
                    await action()
            except Exception as error:
                if not is_passing(error):
                    raise
                self._waiting.begin(run.partition, describe(error) or f"no end within {self._timeout_s:g} s")
                self._metrics.retried("waiting")
            else:
                self._waiting.end(run.partition)
                return
            await run.pause(delay)


class _Run:
    """One delivery: which partition it is of, and whether that has to be given back."""

    def __init__(self, partition: TopicPartition, stopping: asyncio.Event) -> None:
        self.partition = partition
        self._stopping = stopping

    async def pause(self, seconds: float) -> None:
        """Sleep, or raise StoppedError as soon as the partition has to be given back."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise StoppedError
