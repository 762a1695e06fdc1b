"""A broker that is silent keeps nobody from those that answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.metadata import MetadataResponse_v0

from common.kafka.clients import admin_client
from common.kafka.diagnosis import explain
from common.kafka.idempotent_client import IdempotentClient
from common.kafka.separate_connections import connect_to_each_by_itself, connected_node
from tests.support.broker import Broker

SILENT, WELL = 1, 2
FOR_EVER_S = 3600.0


class Brokers:
    """Two brokers, of which one is silent until it speaks."""

    def __init__(self) -> None:
        self.speaks = asyncio.Event()
        self.made: list[int] = []
        """To whom connections were begun."""

    async def create_connection(self, _host: str, port: int, **_options: Any) -> Any:
        self.made.append(port)
        if port == SILENT:
            await self.speaks.wait()
        await asyncio.sleep(0)
        return SimpleNamespace(connected=lambda: True, close=lambda: None)

    def client(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AIOKafkaClient:
        monkeypatch.setattr("aiokafka.client.create_conn", self.create_connection)
        client = AIOKafkaClient(bootstrap_servers="nowhere:1")
        client.cluster.update_metadata(MetadataResponse_v0([(SILENT, "h", SILENT), (WELL, "h", WELL)], []))
        connect_to_each_by_itself(client, **options)
        return client


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of one that takes connections and says nothing; it is asked first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_while_a_broker_is_silent_others_are_connected_to_and_who_came_first_to_one_is_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brokers = Brokers()
    client = brokers.client(monkeypatch, within_s=FOR_EVER_S)
    order: list[str] = []

    async def ready(node: int, name: str) -> None:
        assert await client.ready(node)
        order.append(name)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(ready(SILENT, "first of the silent one"))
        tasks.create_task(ready(SILENT, "second of the silent one"))
        await asyncio.sleep(0)
        await tasks.create_task(ready(WELL, "of the one that is well"))
        brokers.speaks.set()
    assert order == ["of the one that is well", "first of the silent one", "second of the silent one"]
    assert brokers.made == [SILENT, WELL], "a connection to each"


async def test_a_broker_that_is_silent_is_given_up_and_another_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.sample", lambda nodes, _: sorted(nodes))
    client = Brokers().client(monkeypatch, within_s=0.01)
    assert await asyncio.wait_for(connected_node(client), 60) == WELL


@pytest.mark.broker
async def test_a_bootstrap_server_that_is_silent_holds_up_no_start(
    silent: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.shuffle", lambda _: None)
    arguments = {"bootstrap_servers": f"{silent},{broker.bootstrap}"}
    client = IdempotentClient(arguments, "t", client_id="test", request_timeout_s=FOR_EVER_S)
    async with asyncio.timeout(60):
        await client.start()
        assert client.producer_id >= 0
        await client.abandon()
        async with admin_client(arguments, request_timeout_s=FOR_EVER_S) as admin:
            assert await admin.list_topics() is not None


async def test_of_a_broker_that_is_silent_nobody_says_that_nothing_listens_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Brokers().client(monkeypatch, within_s=0.01)
    assert not await client.ready(SILENT)
    told = explain(NodeNotReadyError("there is no connection"))
    assert told.startswith(f"it does not answer as a Kafka broker does (h:{SILENT}): it hangs")
