"""A broker that is silent keeps nobody from those that answer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataResponse_v0

from common.kafka.separate_connections import connect_to_each_by_itself

SILENT, WELL = 1, 2


async def test_while_a_broker_is_silent_others_are_connected_to_and_who_came_first_to_one_is_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaks = asyncio.Event()
    made: list[int] = []

    async def create_connection(_host: str, port: int, **_options: Any) -> Any:
        made.append(port)
        if port == SILENT:
            await speaks.wait()
        await asyncio.sleep(0)
        return SimpleNamespace(connected=lambda: True, close=lambda: None)

    monkeypatch.setattr("aiokafka.client.create_conn", create_connection)
    client = AIOKafkaClient(bootstrap_servers="nowhere:1")
    client.cluster.update_metadata(MetadataResponse_v0([(SILENT, "h", SILENT), (WELL, "h", WELL)], []))
    connect_to_each_by_itself(client)
    order: list[str] = []

    async def ready(node: int, name: str) -> None:
        assert await client.ready(node)
        order.append(name)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(ready(SILENT, "first of the silent one"))
        tasks.create_task(ready(SILENT, "second of the silent one"))
        await asyncio.sleep(0)
        await tasks.create_task(ready(WELL, "of the one that is well"))
        speaks.set()
    assert order == ["of the one that is well", "first of the silent one", "second of the silent one"]
    assert made == [SILENT, WELL], "a connection to each"
