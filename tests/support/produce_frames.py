"""What a test that stands in for a broker is sent by `bridge.publish.produce`."""

from __future__ import annotations

from io import BytesIO

from aiokafka.protocol.produce import ProduceRequest_v7

from bridge.publish.produce.request import ProduceRequest

_BEFORE_CLIENT_ID = 4 + 2 + 2 + 4
"""Bytes of the size, the API's key, its version and the correlation id."""


def body_of(frame: bytes) -> bytes:
    """What of a framed request is behind its header."""
    begin = _BEFORE_CLIENT_ID + 2 + int.from_bytes(frame[_BEFORE_CLIENT_ID : _BEFORE_CLIENT_ID + 2], "big")
    return frame[begin:]


def batches_of(body: bytes) -> list[tuple[int, bytes]]:
    """Partition and bytes of each batch of a request of version 7, which is of one topic."""
    ((_topic, batches),) = ProduceRequest_v7.decode(BytesIO(body)).topics
    return list(batches)


def body_for(request: ProduceRequest) -> bytes:
    """The body of a request to a broker that knows version 7."""
    return body_of(b"".join(request.frame({0: (3, 11)}, correlation_id=0, client_id="")))
