"""What travels from normalization through the journal to Kafka: a finished Kafka record."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bridge.events.envelope import EVENT_CONTENT_TYPE

BATCH_OVERHEAD_BYTES = 512
"""What a batch of one record takes beside the record's key, value and headers, at most. The `max.message.bytes` of a
topic is the size of a batch."""
RECORD_OVERHEAD_BYTES = 96
"""What a record takes beside key, value and headers, at most: also for the header that it is given with its number,
which is not there yet when its size is asked for."""
EVENT_OVERHEAD_BYTES = RECORD_OVERHEAD_BYTES + sum(map(len, EVENT_CONTENT_TYPE))
"""What a record takes beside key and value whose only header is that of every event."""


class Record(msgspec.Struct, array_like=True, frozen=True):
    """A Kafka record, byte for byte as it will be published, so that any later version replays the same."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int
    """When the callback was received, Unix milliseconds: Kafka's CreateTime."""

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        size = len(self.key) + len(self.value) + RECORD_OVERHEAD_BYTES
        for name, value in self.headers:
            size += len(name) + len(value)
        return size


_decoder = msgspec.msgpack.Decoder(list[Record])


def pack(records: Sequence[Record]) -> bytes:
    """The stored form of some records."""
    return msgspec.msgpack.encode(records)


def unpack(stored: bytes) -> list[Record]:
    """The records of a stored form.

    Raises:
        msgspec.DecodeError: the bytes are damaged.
    """
    return _decoder.decode(stored)
