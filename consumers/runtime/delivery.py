"""Gives fetched records to a worker until every one of them is handled, skipped or a dead letter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from common.retry import Backoff, retry
from consumers.errors import (
    PoisonError,
    RetryLater,
    WorkerRefusedError,
    describe,
    describe_with_place,
    failure_of,
    is_passing,
    place_of,
)
from consumers.metrics import DeadLetterReason, Metrics
from consumers.runtime.dead_letter_breaker import DeadLetterBreaker
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.process_spans import ProcessSpans
from consumers.runtime.status import WaitStatus
from consumers.worker import BaseWorker

_SUSPECT_MAX_WAIT_S = 1.0
"""The others of its partition wait meanwhile."""

M = TypeVar("M")


class StoppedError(Exception):
    """The partition was given back before its batch was done; the batch comes again, to whoever has it then."""


class Delivery(Generic[M]):
    """Delivers batches of one partition each, of any number of partitions side by side.

    Args:
        worker: who handles them.
        dead_letters: where goes what cannot be handled.
        metrics, waiting: told what happens.
        max_attempts: how often an event that the worker fails on is tried.
        timeout_s: a batch that takes the worker longer is given to it again.
        breaker: notices a worker that fails on everything; None: nobody does.
        spans: of traced events; None: there are none.
        impatient: whether to try again at once, for tests.
    """

    def __init__(
        self,
        worker: BaseWorker[M],
        dead_letters: DeadLetters,
        metrics: Metrics,
        waiting: WaitStatus,
        *,
        max_attempts: int,
        timeout_s: float,
        breaker: DeadLetterBreaker | None = None,
        spans: ProcessSpans | None = None,
        impatient: bool = False,
    ) -> None:
        self._worker = worker
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._waiting = waiting
        self._max_attempts = max_attempts
        self._timeout_s = timeout_s
        self._impatient = impatient
        self._spans = spans
        self._breaker = breaker or DeadLetterBreaker(limit=0, window_s=0, on_change=lambda _: None)

    async def deliver(
        self, partition: TopicPartition, records: Sequence[ConsumerRecord], stopping: asyncio.Event
    ) -> None:
        """Deliver records in their order. When it returns their offsets may be committed.

        Raises:
            StoppedError: `stopping` was set while something was away.
            WorkerRefusedError: the worker cannot go on as it is set up; no event is to blame.
        """
        self._metrics.batch_events.observe(len(records))
        run = _Run(partition, stopping, impatient=self._impatient)
        try:
            batch = self._read_together(records)
            if batch is None:
                batch = await self._read_each(run, records)
            await self._handle_traced(run, batch)
        except BaseException:
            self._waiting.abandon(partition)
            raise
        self._waiting.end(partition)

    def _read_together(self, records: Sequence[ConsumerRecord]) -> _Batch[M] | None:
        try:
            messages = self._worker.read_batch(records)
        except BaseException:  # noqa: BLE001 - `read` will say which record is at fault
            return None
        if messages is None:
            return None
        if len(messages) != len(records):
            raise WorkerRefusedError(
                f"read_batch of the worker {self._worker.name} gave {len(messages)} for {len(records)} records: it must"
                " give one for each, None for one that is of no concern"
            )
        wanted = [message for message in messages if message is not None]
        if skipped := len(messages) - len(wanted):
            self._metrics.skipped.inc(skipped)
            records = [record for record, one in zip(records, messages, strict=True) if one is not None]
        return _Batch(records, wanted)

    async def _read_each(self, run: _Run, records: Sequence[ConsumerRecord]) -> _Batch[M]:
        """What is left to be handled: what stands before a record that cannot be read is handled first."""
        read = self._worker.read
        taken: list[ConsumerRecord] = []
        batch: _Batch[M] = _Batch(taken, [])
        skipped = 0
        for record in records:
            try:
                message = read(record)
            except BaseException as error:  # noqa: BLE001 - whatever it raises, the record will not get better
                failure = failure_of(error)
                await self._handle_traced(run, batch)
                taken = []
                batch = _Batch(taken, [])
                await self._try_alone(run, record, failure, "not_an_event", None)
            else:
                if message is None:
                    skipped += 1
                else:
                    taken.append(record)
                    batch.messages.append(message)
        self._metrics.skipped.inc(skipped)
        return batch

    async def _handle_traced(self, run: _Run, batch: _Batch[M]) -> None:
        if self._spans is None:
            await self._handle(run, batch)
        else:
            with self._spans.handling(batch.records):
                await self._handle(run, batch)

    async def _handle(self, run: _Run, batch: _Batch[M]) -> None:
        """Handle a batch, and find the events in it that the worker fails on by halving."""
        while batch:
            try:
                await self._until_it_passes(run, batch)
            except (StoppedError, WorkerRefusedError):
                raise
            except Exception as error:  # noqa: BLE001 - a worker may raise anything
                if (at := _position_of_poison(error, batch)) is not None:
                    batch = await self._behind(run, batch, at, error)
                    continue
                self._metrics.retried("failed")
                if len(batch) > 1:
                    middle = len(batch) // 2
                    await self._handle(run, batch.part(0, middle))
                    await self._handle(run, batch.part(middle, len(batch)))
                else:
                    await self._suspect(run, batch, error)
                return
            else:
                self._handled(len(batch))
                return

    async def _behind(self, run: _Run, batch: _Batch[M], at: int, error: Exception) -> _Batch[M]:
        """What of a batch is left behind the message that its worker calls poison."""
        if at:
            self._handled(at)
        await self._suspect(run, batch.part(at, at + 1), error)
        return batch.part(at + 1, len(batch))

    async def _suspect(self, run: _Run, one: _Batch[M], error: Exception) -> None:
        await self._try_alone(run, one.records[0], error, "handler_failed", lambda: self._until_it_passes(run, one))

    async def _try_alone(
        self,
        run: _Run,
        record: ConsumerRecord,
        error: Exception,
        reason: DeadLetterReason,
        attempt: Callable[[], Awaitable[None]] | None,
    ) -> None:
        """Try a single record that has failed with `error` until it is handled, or make a dead letter of it.

        That is done after `max_attempts` attempts, or at once where no attempt helps: there is none (None), or the
        worker calls it poison. But never while the breaker is open: then it is the worker that is at fault.
        """
        attempts = 1
        waits = Backoff(max_s=_SUSPECT_MAX_WAIT_S)
        while self._breaker.is_open or (
            attempt is not None and attempts < self._max_attempts and not isinstance(error, PoisonError)
        ):
            if self._breaker.is_open and not run.waits_for_repair:
                run.waits_for_repair = True
                self._waiting.begin(run.partition, f"the worker fails on every event ({describe_with_place(error)})")
                waits = Backoff()
            await run.pause(next(waits))
            if attempt is None:
                continue
            attempts += 1
            try:
                await attempt()
            except (StoppedError, WorkerRefusedError):
                raise
            except Exception as again:  # noqa: BLE001 - a worker may raise anything
                error = again
                self._metrics.retried("failed")
            else:
                self._handled(1)
                return
        last, tried = error, attempts
        await self._passing(run, lambda: self._dead_letters.publish(record, last, reason, tried), None)
        if self._spans is not None:
            self._spans.gave_up(record, last, reason, tried)
        self._breaker.failed(record.key or record.offset)

    def _handled(self, count: int) -> None:
        self._metrics.handled.inc(count)
        self._breaker.succeeded()

    async def _until_it_passes(self, run: _Run, batch: _Batch[M]) -> None:
        await self._passing(run, lambda: handle(self._worker, batch.messages[:]), self._timeout_s)

    async def _passing(self, run: _Run, action: Callable[[], Awaitable[None]], timeout_s: float | None) -> None:
        """Do something again and again for as long as it fails in ways that pass by themselves.

        Raises:
            StoppedError: the partition has to be given back.
            Exception: a failure that does not pass.
        """

        async def attempt() -> None:
            async with asyncio.timeout(timeout_s):
                await action()

        def report(error: Exception) -> None:
            took_too_long = isinstance(error, TimeoutError) and not str(error) and timeout_s is not None
            place = place_of(error) if timeout_s is not None and not isinstance(error, RetryLater | KafkaError) else ""
            reason = (
                f"the worker was not done within {timeout_s:g} s (CONSUMERS_HANDLE_TIMEOUT_S)"
                if took_too_long
                else describe(error)
            )
            reason += f" (at {place})" if place else ""
            self._waiting.begin(run.partition, reason)
            self._metrics.retried("waiting")

        await retry(attempt, on=is_passing, report=report, pause=run.pause)
        self._waiting.end(run.partition)


async def handle(worker: BaseWorker[M], messages: Sequence[M]) -> None:
    """Have a worker handle messages.

    Raises:
        Exception: it fails on them, whatever it raised.
    """
    try:
        await worker.handle(messages)
    except Exception:
        raise
    except BaseException as error:
        raise failure_of(error) from error


def _position_of_poison(error: Exception, batch: _Batch[M]) -> int | None:
    """Where in a batch the message is that its worker calls poison; None where it names none of the batch."""
    if not isinstance(error, PoisonError):
        return None
    return next((at for at, message in enumerate(batch.messages) if message is error.message), None)


class _Batch(Generic[M]):
    """Messages and the records that carried them: an object for each pair would cost more than either."""

    def __init__(self, records: Sequence[ConsumerRecord], messages: list[M]) -> None:
        self.records = records
        self.messages = messages

    def __len__(self) -> int:
        return len(self.messages)

    def part(self, begin: int, end: int) -> _Batch[M]:
        return _Batch(self.records[begin:end], self.messages[begin:end])


class _Run:
    """One delivery: which partition it is of, and whether that has to be given back."""

    def __init__(self, partition: TopicPartition, stopping: asyncio.Event, *, impatient: bool) -> None:
        self.partition = partition
        self.waits_for_repair = False
        """Whether the wait for a worker that fails on everything was told."""
        self._stopping = stopping
        self._impatient = impatient

    async def pause(self, seconds: float) -> None:
        """Sleep, or raise StoppedError as soon as the partition has to be given back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.0 if self._impatient else seconds):
                await self._stopping.wait()
        if self._stopping.is_set():
            raise StoppedError
