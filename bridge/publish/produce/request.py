"""The Produce request of Kafka's protocol, versions 3 to 7, and its answer.

By hand, since aiokafka's schemas take as long for it as making the batches does. Version 7 is the first that allows
every compression; brokers from 2.1 on know it. https://kafka.apache.org/protocol#The_Messages_Produce
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from struct import Struct
from typing import NamedTuple

from aiokafka.errors import IncompatibleBrokerVersion

API_KEY = 0
LOWEST_VERSION = 3
HIGHEST_VERSION = 7
LOG_START_VERSION = 5
"""From here on an answer names the first offset of the log."""
ALL_REPLICAS = -1

_HEADER = Struct(">hhih")
"""API key, version, correlation id, length of the client's name."""
_BEGIN = Struct(">hhiih")
"""No transaction, acks, time-out in ms, one topic, length of its name."""
_COUNT = Struct(">i")
_BATCH = Struct(">ii")
"""Partition, length of the batch."""
_NAME = Struct(">h")
_RESULT = Struct(">ihqq")
"""Partition, error code, offset, timestamp."""
_RESULT_WITH_LOG_START = Struct(">ihqqq")


class ProduceAnswer(NamedTuple):
    """What a leader says of a request."""

    error_codes: dict[int, int]
    """Partition → error code, 0 for none."""
    throttle_s: float
    """For so long the broker wants to hear nothing: it reads nothing of the connection meanwhile."""


class ProduceRequest:
    """A request to a leader for batches of one topic, in the form that a connection of aiokafka takes.

    Args:
        topic: of all batches.
        batches: partition and batch, of each partition one.
        timeout_s: how long the leader waits for the replicas in sync.
    """

    __slots__ = ("_batches", "_timeout_ms", "_topic", "_version")

    def __init__(self, topic: str, batches: Sequence[tuple[int, bytes | bytearray]], *, timeout_s: float) -> None:
        self._topic = topic
        self._batches = batches
        self._timeout_ms = int(timeout_s * 1000)
        self._version = HIGHEST_VERSION

    # -- As aiokafka calls it: AIOKafkaConnection.send and ._handle_frame ----------------------------------------------

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> ProduceRequest:
        """Choose the version of those that a broker knows: API key → lowest and highest.

        Raises:
            IncompatibleBrokerVersion: it knows none of ours.
        """
        lowest, highest = versions.get(API_KEY, (0, 0))
        self._version = min(HIGHEST_VERSION, highest)
        if self._version < max(LOWEST_VERSION, lowest):
            raise IncompatibleBrokerVersion(
                f"the broker takes versions {lowest} to {highest} of Produce, of which we know {LOWEST_VERSION} to"
                f" {HIGHEST_VERSION}"
            )
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> _Encoded:
        """The header of the request."""
        name = client_id.encode()
        return _Encoded(_HEADER.pack(API_KEY, self._version, correlation_id, len(name)) + name)

    def encode(self) -> bytes:
        """The body of the request."""
        return b"".join(self._body())

    def frame(
        self, versions: Mapping[int, tuple[int, int]], correlation_id: int, client_id: str
    ) -> list[bytes | bytearray]:
        """All of the request as it goes over the wire, in parts: the batches are not copied.

        Raises:
            IncompatibleBrokerVersion: see `prepare`.
        """
        self.prepare(versions)
        parts = [self.build_request_header(correlation_id, client_id).encode(), *self._body()]
        return [_COUNT.pack(sum(map(len, parts))), *parts]

    def _body(self) -> list[bytes | bytearray]:
        topic = self._topic.encode()
        parts: list[bytes | bytearray] = [
            _BEGIN.pack(-1, ALL_REPLICAS, self._timeout_ms, 1, len(topic)),
            topic,
            _COUNT.pack(len(self._batches)),
        ]
        for partition, batch in self._batches:
            parts += _BATCH.pack(partition, len(batch)), batch
        return parts

    @property
    def RESPONSE_TYPE(self) -> ProduceRequest:  # noqa: N802 - the name is aiokafka's
        """What decodes the answer."""
        return self

    def parse_response_header(self, answer: BytesIO) -> _AnswerHeader:
        """The header of the answer."""
        return _AnswerHeader(*_COUNT.unpack(answer.read(_COUNT.size)))

    def decode(self, answer: BytesIO) -> ProduceAnswer:
        """The body of the answer.

        Raises:
            struct.error: it is cut.
        """
        result = _RESULT if self._version < LOG_START_VERSION else _RESULT_WITH_LOG_START
        error_codes: dict[int, int] = {}
        for _ in range(_number(answer)):
            (length,) = _NAME.unpack(answer.read(_NAME.size))
            answer.read(length)  # It is our topic: we asked for no other.
            results = answer.read(_number(answer) * result.size)
            error_codes |= {one[0]: one[1] for one in result.iter_unpack(results)}
        return ProduceAnswer(error_codes, _number(answer) / 1000)


class _Encoded(NamedTuple):
    data: bytes

    def encode(self) -> bytes:
        return self.data


class _AnswerHeader(NamedTuple):
    correlation_id: int


def _number(answer: BytesIO) -> int:
    (number,) = _COUNT.unpack(answer.read(_COUNT.size))
    return int(number)
