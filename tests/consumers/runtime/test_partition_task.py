"""The work on one partition: what is delivered and committed, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError

from consumers.metrics import Metrics
from consumers.runtime import partition_task
from consumers.runtime.delivery import StoppedError
from consumers.runtime.partition_task import CommitRefusedError, PartitionTask

PARTITION = TopicPartition("im.events", 3)


def records(*offsets: int) -> list[ConsumerRecord[Any, Any]]:
    return [
        ConsumerRecord("im.events", 3, offset, 1_700_000_000_000 + offset, 0, b"k", b"v", None, 0, 0, ())
        for offset in offsets
    ]


class FakeConsumer:
    """Fetches what it is given, and then waits for ever; notes commits."""

    def __init__(self, *fetches: list[ConsumerRecord[Any, Any]]) -> None:
        self._fetches = list(fetches)
        self.committed: list[int] = []
        self.refuses_commits = False
        self.exhausted = asyncio.Event()

    async def getmany(self, partition: TopicPartition, timeout_ms: int) -> dict[TopicPartition, Sequence[Any]]:
        if self._fetches:
            return {partition: self._fetches.pop(0)}
        self.exhausted.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refuses_commits:
            raise CommitFailedError("a rebalance was faster")
        self.committed.append(offsets[PARTITION])


class Delivered:
    """Notes the batches that it is given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.release: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, _: TopicPartition, batch: Sequence[ConsumerRecord], stopping: asyncio.Event) -> None:
        self.begun.set()
        if self.release is not None:
            await self.release.wait()
        if self.error is not None:
            raise self.error
        self.batches.append([record.offset for record in batch])


def started(
    consumer: FakeConsumer, deliver: Delivered, ended: list[PartitionTask] | None = None, max_events: int = 2
) -> PartitionTask:
    return PartitionTask(
        PARTITION,
        consumer,
        deliver,
        max_events=max_events,
        batch_seconds=Metrics("test").batch_seconds,
        on_end=(ended if ended is not None else []).append,
    )


async def test_batches_are_delivered_in_order_and_each_is_committed_at_its_end() -> None:
    consumer, deliver = FakeConsumer(records(5, 6, 7), records(9)), Delivered()
    task = started(consumer, deliver)
    positions = [task.position]
    await asyncio.wait_for(consumer.exhausted.wait(), 60)
    positions.append(task.position)
    assert deliver.batches == [[5, 6], [7], [9]]
    assert consumer.committed == [7, 8, 10]
    assert positions == [None, 10]
    assert task.oldest_ms is None
    task.stop()


async def test_stopped_while_idle_it_ends_at_once() -> None:
    consumer, ended = FakeConsumer(), list[PartitionTask]()
    task = started(consumer, Delivered(), ended)
    await asyncio.wait_for(consumer.exhausted.wait(), 60)
    task.stop()
    await asyncio.wait({task.task}, timeout=60)
    assert ended == [task]


async def test_stopped_while_a_batch_is_in_work_it_commits_that_and_begins_no_other() -> None:
    consumer, deliver = FakeConsumer(records(5, 6, 7), records(9)), Delivered()
    deliver.release = asyncio.Event()
    task = started(consumer, deliver)
    await asyncio.wait_for(deliver.begun.wait(), 60)
    assert task.oldest_ms == 1_700_000_000_005
    task.stop()
    deliver.release.set()
    await asyncio.wait_for(task.task, 60)
    assert deliver.batches == [[5, 6]]
    assert consumer.committed == [7]


async def test_a_batch_that_was_given_back_unfinished_is_not_committed() -> None:
    consumer, deliver = FakeConsumer(records(5, 6, 7)), Delivered()
    deliver.error = StoppedError()
    task = started(consumer, deliver)
    await asyncio.wait_for(consumer.exhausted.wait(), 60)
    assert consumer.committed == []
    assert task.position == 5
    task.stop()


async def test_after_a_commit_that_is_refused_nothing_more_of_the_fetch_is_handled() -> None:
    consumer, deliver = FakeConsumer(records(5, 6, 7)), Delivered()
    consumer.refuses_commits = True
    task = started(consumer, deliver, max_events=1)
    await asyncio.wait_for(deliver.begun.wait(), 60)
    task.stop()
    await asyncio.wait_for(task.task, 60)
    assert deliver.batches == [[5]]


async def test_a_refused_commit_of_a_partition_that_nobody_takes_back_ends_it_with_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_task, "REVOKE_TIMEOUT_S", 0.01)
    consumer, ended = FakeConsumer(records(5)), list[PartitionTask]()
    consumer.refuses_commits = True
    task = started(consumer, Delivered(), ended)
    with pytest.raises(CommitRefusedError):
        await asyncio.wait_for(task.task, 60)
    assert ended == [task]
