"""A connection that its broker has reset fails as aiokafka expects it, whenever a request is written to it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiokafka.conn
import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError
from aiokafka.protocol import produce
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest_v2, ProduceRequest_v7

from bridge.publish.produce.request import ProduceRequest
from common.kafka import connection
from common.kafka.clients import admin_client
from common.kafka.connection import MendedConnection

LOOPS = pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
API_VERSIONS_OF_METADATA = struct.pack(">hihhh", 0, 1, 3, 0, 5)


class ResettingBroker:
    """Says that it speaks the protocol of metadata, and answers nothing else."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        length, _api, _version, correlation_id = struct.unpack(">ihhi", await reader.readexactly(12))
        await reader.readexactly(length - 8)
        answer = struct.pack(">i", correlation_id) + API_VERSIONS_OF_METADATA
        writer.write(struct.pack(">i", len(answer)) + answer)

    def reset(self) -> None:
        """End all connections as the kernel does when a broker is killed that has not read everything."""
        while self._writers:
            writer = self._writers.pop()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[ResettingBroker, AIOKafkaConnection]]:
    broker = ResettingBroker()
    async with await asyncio.start_server(broker.serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        connection = await aiokafka.conn.create_conn(host, port)
        try:
            yield broker, connection
        finally:
            await connection.close()
            broker.reset()


async def write_until_it_fails(write: Callable[[], Awaitable[Any]]) -> list[BaseException]:
    """How all writes failed: those whose answers are lost, then the one that could not be made.

    One is made in each round of the event loop, so also in those before aiokafka is told of the reset.
    """
    answers: list[asyncio.Future[Any]] = []
    try:
        while True:
            answers.append(asyncio.ensure_future(write()))
            await asyncio.sleep(0)
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return [*await asyncio.gather(*answers, return_exceptions=True), error]


@LOOPS
@pytest.mark.parametrize("what", ["request", "token", "frame"])
def test_what_is_written_at_any_moment_of_a_reset_fails_as_a_connection(
    new_loop: Callable[[], asyncio.AbstractEventLoop], what: str
) -> None:
    async def work() -> list[BaseException]:
        async with connected() as (broker, connection):
            assert isinstance(connection, MendedConnection), "all clients of the process get such connections"
            request = MetadataRequest([])
            broker.reset()
            writes: dict[str, Callable[[], Awaitable[Any]]] = {
                "request": lambda: connection.send(request),
                "token": lambda: connection._send_sasl_token(b"token"),
                "frame": lambda: connection.ask(ProduceRequest("t", [], timeout_s=1)),
            }
            connection._versions |= {0: (0, 7)}
            failures = await write_until_it_fails(writes[what])
            assert not connection.connected()
            return failures

    with asyncio.Runner(loop_factory=new_loop) as runner:
        failures = runner.run(work())
    assert {type(failure) for failure in failures} == {KafkaConnectionError}


async def test_other_errors_of_aiokafka_pass_through_and_leave_the_connection_alone() -> None:
    async with connected() as (_, connection):
        connection._versions = {}
        with pytest.raises(IncompatibleBrokerVersion):
            connection.send(MetadataRequest([]))
        assert connection.connected()


async def test_that_nobody_listens_is_still_a_connection_error() -> None:
    with pytest.raises(KafkaConnectionError):
        async with admin_client({"bootstrap_servers": "127.0.0.1:1"}):
            pass


async def test_a_connection_to_a_bootstrap_server_ends_with_whoever_gives_up_asking_it() -> None:
    async with connected() as (_broker, connection):
        asking = asyncio.ensure_future(connection.send(MetadataRequest([])))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert not connection.connected()


BATCHES = [(0, b"first"), (3, b"second")]


@pytest.mark.parametrize(
    "request_of",
    [
        *(getattr(produce, f"ProduceRequest_v{version}") for version in range(3, 8)),
        lambda *_: ProduceRequest_v7("transaction", -1, 9, [("t", BATCHES)]),
        lambda *_: ProduceRequest_v7(None, 1, 9, [("t", BATCHES)]),
        lambda *_: ProduceRequest_v2(-1, 9, [("t", BATCHES)]),
        lambda *_: MetadataRequest([]).prepare({3: (0, 5)}),
    ],
    ids=[*(f"Produce v{version}" for version in range(3, 8)), "transaction", "one replica", "Produce v2", "metadata"],
)
def test_a_request_of_aiokafka_is_written_as_aiokafka_would(request_of: Callable[..., Any]) -> None:
    made = request_of(None, -1, 1500, [("im.badges é", BATCHES), ("im.other", [(7, bytearray(b"third"))])])
    header = made.build_request_header(correlation_id=77, client_id="im-bridge").encode()
    message = header + made.encode()
    assert b"".join(connection._frame_of(made, 77, "im-bridge")) == len(message).to_bytes(4, "big") + message
