"""Our bytes of Produce are those of aiokafka's schemas, and its connections take our requests for theirs."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import pytest
from aiokafka.conn import create_conn
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol import produce

from bridge.publish.produce.request import ProduceAnswer, ProduceRequest
from common.kafka.connection import mend_connections
from tests.support.produce_frames import body_of

BATCHES: list[tuple[int, bytes | bytearray]] = [(0, b"first"), (3, bytearray(b"second"))]


REQUEST = ProduceRequest("im.events é", BATCHES, timeout_s=1.5)


def framed(highest_version: int) -> bytes:
    """The request as it is written to a broker whose highest version that is."""
    return b"".join(REQUEST.frame({0: (0, highest_version)}, correlation_id=77, client_id="im-bridge"))


@pytest.mark.parametrize("version", range(3, 8))
def test_a_request_has_the_bytes_that_the_schema_gives_it(version: int) -> None:
    schema: Any = getattr(produce, f"ProduceRequest_v{version}")
    expected = schema(None, -1, 1500, [("im.events é", [(number, bytes(data)) for number, data in BATCHES])])
    message = expected.build_request_header(correlation_id=77, client_id="im-bridge").encode() + expected.encode()
    assert framed(version) == len(message).to_bytes(4, "big") + message
    assert body_of(framed(version)) == expected.encode()


@pytest.mark.parametrize("version", range(3, 8))
def test_an_answer_is_read_as_the_schema_reads_it(version: int) -> None:
    schema: Any = getattr(produce, f"ProduceResponse_v{version}")
    offsets = (5, -1, 0)[: 2 if version < 5 else 3]
    answer = schema(topics=[("im.events é", [(3, 6, *offsets), (0, 0, *offsets)])], throttle_time_ms=250)
    stream = BytesIO((77).to_bytes(4, "big") + answer.encode())
    framed(version)
    assert REQUEST.parse_response_header(stream).correlation_id == 77
    assert REQUEST.RESPONSE_TYPE.decode(stream) == ProduceAnswer({3: 6, 0: 0}, 0.25)
    assert not stream.read()


def test_of_a_broker_of_today_the_highest_version_that_both_know_is_used() -> None:
    assert framed(13) == framed(7)
    assert framed(13)[4:8] == b"\x00\x00\x00\x07"


@pytest.mark.parametrize("versions", [{0: (0, 2)}, {0: (8, 13)}, {}], ids=["too old", "too new", "unknown"])
def test_a_broker_that_knows_none_of_our_versions_is_told_apart(versions: dict[int, tuple[int, int]]) -> None:
    with pytest.raises(IncompatibleBrokerVersion, match="of which we know 3 to 7"):
        REQUEST.frame(versions, correlation_id=0, client_id="")


async def test_a_connection_of_aiokafka_sends_it_and_gives_its_answer() -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(4):
            message = await reader.readexactly(int.from_bytes(head, "big"))
            received.append(message)
            is_produce = message[:2] == b"\x00\x00"
            # ApiVersions v0: no error, one API, Produce from 3 to 7.
            body = (
                produce.ProduceResponse_v7(topics=[("t", [(2, 19, 0, -1, 0)])], throttle_time_ms=0).encode()
                if is_produce
                else b"\x00\x00" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x03\x00\x07"
            )
            answer = message[4:8] + body
            writer.write(len(answer).to_bytes(4, "big") + answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    mend_connections()
    connection = await create_conn("127.0.0.1", server.sockets[0].getsockname()[1], client_id="im-bridge")
    answer = await connection.ask(ProduceRequest("t", [(2, b"data")], timeout_s=1))
    assert answer == ProduceAnswer({2: 19}, 0.0)
    assert received[-1].endswith(b"\x00\x00\x00\x02" + b"\x00\x00\x00\x04" + b"data")
    await connection.close()
    server.close()
    await server.wait_closed()
