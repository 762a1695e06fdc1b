"""Gives fetched records to a worker until every one of them is handled, skipped or a dead letter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from common.retry import Backoff, backoff
from consumers.errors import PoisonError, describe, is_passing
from consumers.metrics import DeadLetterReason, Metrics
from consumers.runtime.breaker import Breaker
from consumers.runtime.connection import Waiting
from consumers.runtime.dead_letters import DeadLetters
from consumers.worker import BaseWorker

M = TypeVar("M")


class StoppedError(Exception):
    """The partition was given back before its batch was done; the batch comes again, to whoever has it then."""


class Delivery(Generic[M]):
    """Delivers batches of one partition each, of any number of partitions side by side.

    Args:
        worker: who handles them.
        dead_letters: where goes what cannot be handled.
        metrics, waiting: told what happens.
        attempts: how often an event that the worker fails on is tried.
        timeout_s: a batch that takes the worker longer is given to it again.
        breaker: notices a worker that fails on everything; None: nobody does.
        impatient: whether to try again at once, for tests.
    """

    def __init__(
        self,
        worker: BaseWorker[M],
        dead_letters: DeadLetters,
        metrics: Metrics,
        waiting: Waiting,
        *,
        attempts: int,
        timeout_s: float,
        breaker: Breaker | None = None,
        impatient: bool = False,
    ) -> None:
        self._worker = worker
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._waiting = waiting
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._impatient = impatient
        self._breaker = breaker or Breaker(limit=0, window_s=0, on_change=lambda _: None)

    async def deliver(
        self, partition: TopicPartition, records: Sequence[ConsumerRecord], stopping: asyncio.Event
    ) -> None:
        """Deliver records in their order. When it returns their offsets may be committed.

        Raises:
            StoppedError: `stopping` was set while something was away.
        """
        batch: list[_Item[M]] = []
        skipped = 0
        run = _Run(partition, stopping)
        read = self._worker.read
        try:
            for record in records:
                try:
                    message = read(record)
                except Exception as error:  # noqa: BLE001 - whatever parsing raises, the record will not get better
                    await self._handle(run, batch)
                    batch = []
                    await self._unreadable(run, record, error)
                else:
                    if message is None:
                        skipped += 1
                    else:
                        batch.append(_Item(record, message))
            self._metrics.skipped.inc(skipped)
            await self._handle(run, batch)
        finally:
            self._waiting.end(partition)

    async def _unreadable(self, run: _Run, record: ConsumerRecord, error: Exception) -> None:
        """Give up a record that is no event, unless all of them are none: then it is the reader that is at fault."""
        delays = backoff(most=1.0)
        while self._breaker.is_open:
            delays = self._wait_for_repair(run, error, delays)
            await self._pause(run, next(delays))
        await self._give_up(run, record, error, "not_an_event", attempts=1)
        self._breaker.failed(record.key or record.offset)

    async def _handle(self, run: _Run, batch: Sequence[_Item[M]]) -> None:
        while batch:
            try:
                await self._until_it_passes(run, batch)
            except StoppedError:
                raise
            except PoisonError as error:
                batch = await self._behind(run, batch, error)
            except Exception as error:  # noqa: BLE001 - a worker may raise anything
                self._metrics.retried("failed")
                if len(batch) > 1:
                    middle = len(batch) // 2
                    await self._handle(run, batch[:middle])
                    await self._handle(run, batch[middle:])
                else:
                    await self._suspect(run, batch[0], error)
                return
            else:
                self._handled(len(batch))
                return

    async def _behind(self, run: _Run, batch: Sequence[_Item[M]], error: PoisonError) -> Sequence[_Item[M]]:
        """What of a batch is left behind the message that its worker calls poison."""
        for at, item in enumerate(batch):
            if item.message is error.message:
                if at:
                    self._handled(at)
                await self._suspect(run, item, error)
                return batch[at + 1 :]
        raise RuntimeError("a worker raised PoisonError with a message that is not of its batch") from error

    async def _suspect(self, run: _Run, item: _Item[M], error: Exception) -> None:
        """Try a single event that failed once until it is handled or has failed often enough."""
        attempts = 1
        delays = backoff(most=1.0)
        while self._breaker.is_open or (attempts < self._attempts and not isinstance(error, PoisonError)):
            if self._breaker.is_open:
                delays = self._wait_for_repair(run, error, delays)
            await self._pause(run, next(delays))
            attempts += 1
            try:
                await self._until_it_passes(run, [item])
            except StoppedError:
                raise
            except Exception as again:  # noqa: BLE001 - a worker may raise anything
                error = again
                self._metrics.retried("failed")
            else:
                self._handled(1)
                return
        await self._give_up(run, item.record, error, "handler_failed", attempts=attempts)
        self._breaker.failed(item.record.key or item.record.offset)

    def _wait_for_repair(self, run: _Run, error: Exception, delays: Backoff) -> Backoff:
        if run.repairing:
            return delays
        run.repairing = True
        self._waiting.begin(run.partition, f"the worker fails on every event ({describe(error)})")
        return backoff()

    def _handled(self, count: int) -> None:
        self._metrics.handled.inc(count)
        self._breaker.succeeded()

    async def _give_up(
        self, run: _Run, record: ConsumerRecord, error: Exception, reason: DeadLetterReason, *, attempts: int
    ) -> None:
        await self._passing(run, lambda: self._dead_letters.publish(record, error, reason, attempts), None)

    async def _until_it_passes(self, run: _Run, batch: Sequence[_Item[M]]) -> None:
        messages = [item.message for item in batch]
        await self._passing(run, lambda: self._worker.handle(messages), self._timeout_s)

    async def _passing(self, run: _Run, action: Callable[[], Awaitable[None]], timeout_s: float | None) -> None:
        for delay in backoff():
            try:
                async with asyncio.timeout(timeout_s):
                    await action()
            except Exception as error:
                if not is_passing(error):
                    raise
                took_too_long = isinstance(error, TimeoutError) and not str(error) and timeout_s is not None
                reason = f"no end within {timeout_s:g} s" if took_too_long else describe(error)
                self._waiting.begin(run.partition, reason)
                self._metrics.retried("waiting")
            else:
                self._waiting.end(run.partition)
                return
            await self._pause(run, delay)

    async def _pause(self, run: _Run, seconds: float) -> None:
        await run.pause(0.0 if self._impatient else seconds)


class _Item(NamedTuple, Generic[M]):
    record: ConsumerRecord
    message: M


class _Run:
    """One delivery: which partition it is of, and whether that has to be given back."""

    def __init__(self, partition: TopicPartition, stopping: asyncio.Event) -> None:
        self.partition = partition
        self.repairing = False
        self._stopping = stopping

    async def pause(self, seconds: float) -> None:
        """Sleep, or raise StoppedError as soon as the partition has to be given back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        if self._stopping.is_set():
            raise StoppedError
