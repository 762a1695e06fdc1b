"""A consumer is stopped for certain, whatever has become of its tasks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from common.kafka.consumer import stop_consumer


class FakeClient:
    """Ends as aiokafka's client does: it awaits its task, then closes its connections."""

    def __init__(self, sync_task: asyncio.Task[Any]) -> None:
        self._sync_task: asyncio.Task[Any] | None = sync_task
        self.closed = False

    async def close(self) -> None:
        if self._sync_task is not None:
            await self._sync_task
        self.closed = True


async def test_the_connections_of_a_consumer_whose_task_has_died_are_closed_all_the_same() -> None:
    async def die() -> None:
        raise RuntimeError("the handler is closed")

    task = asyncio.create_task(die())
    await asyncio.wait({task})
    client = FakeClient(task)
    consumer: Any = SimpleNamespace(_client=client, _coordinator=None, _fetcher=None, stop=client.close)
    await stop_consumer(consumer)
    assert client.closed
