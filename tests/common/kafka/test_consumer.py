"""A consumer that cannot go on is noticed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from common.kafka.consumer import check_errors, stop_consumer


async def ended(error: BaseException | None = None) -> asyncio.Task[None]:
    async def end() -> None:
        if error is not None:
            raise error

    task = asyncio.create_task(end())
    await asyncio.wait({task})
    return task


class FakeClient:
    """Ends as aiokafka's client does: it awaits its task, then closes its connections."""

    def __init__(self, sync_task: asyncio.Task[Any]) -> None:
        self._sync_task: asyncio.Task[Any] | None = sync_task
        self.closed = False

    async def close(self) -> None:
        if self._sync_task is not None:
            await self._sync_task
        self.closed = True


def consumer_with(*, sync: asyncio.Task[Any], fetch: asyncio.Task[Any]) -> Any:
    client = FakeClient(sync)
    return SimpleNamespace(
        _client=client,
        _coordinator=SimpleNamespace(check_errors=lambda: None),
        _fetcher=SimpleNamespace(error_future=fetch),
        stop=client.close,
    )


async def test_a_consumer_whose_tasks_run_can_go_on() -> None:
    running = asyncio.create_task(asyncio.Event().wait())
    check_errors(consumer_with(sync=running, fetch=running))
    running.cancel()


async def test_a_consumer_that_updates_its_metadata_no_more_cannot_go_on() -> None:
    running = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(KafkaError, match="the handler is closed"):
        check_errors(consumer_with(sync=await ended(RuntimeError("the handler is closed")), fetch=running))
    running.cancel()


async def test_a_consumer_that_fetches_no_more_cannot_go_on() -> None:
    running = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(KafkaError, match="a task of the consumer has ended"):
        check_errors(consumer_with(sync=running, fetch=await ended()))
    running.cancel()


async def test_the_connections_of_a_consumer_whose_task_has_died_are_closed_all_the_same() -> None:
    died = await ended(RuntimeError("the handler is closed"))
    consumer = consumer_with(sync=died, fetch=died)
    await stop_consumer(consumer)
    assert consumer._client.closed
