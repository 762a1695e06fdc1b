"""The Produce request of Kafka's protocol and its answer.

By hand, since aiokafka's schemas take as long for it as making the batches does.
https://kafka.apache.org/protocol#The_Messages_Produce
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from struct import Struct
from typing import NamedTuple

from aiokafka.errors import IncompatibleBrokerVersion

from common.kafka.produce_frame import API_KEY, HIGHEST_VERSION, LOWEST_VERSION, TopicBatches, produce_frame

LOG_START_VERSION = 5
"""From here on an answer names the first offset of the log."""

_COUNT = Struct(">i")
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

    def __init__(self, topic: str, batches: TopicBatches, *, timeout_s: float) -> None:
        self._topic = topic
        self._batches = batches
        self._timeout_ms = int(timeout_s * 1000)
        self._version = HIGHEST_VERSION

    def frame(
        self, versions: Mapping[int, tuple[int, int]], correlation_id: int, client_id: str
    ) -> list[bytes | bytearray]:
        """All of the request as it goes over the wire, in parts: the batches are not copied.

        Raises:
            IncompatibleBrokerVersion: the broker knows none of our versions.
        """
        self._version = _version_of(versions)
        topics = [(self._topic, self._batches)]
        return produce_frame(self._version, correlation_id, client_id, self._timeout_ms, topics)

    # -- As aiokafka reads the answer: AIOKafkaConnection._handle_frame ------------------------------------------------

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


class _AnswerHeader(NamedTuple):
    correlation_id: int


def _version_of(versions: Mapping[int, tuple[int, int]]) -> int:
    """The highest version that we and a broker know: API key → its lowest and highest.

    Raises:
        IncompatibleBrokerVersion: it knows none of ours.
    """
    lowest, highest = versions.get(API_KEY, (0, 0))
    version = min(HIGHEST_VERSION, highest)
    if version < max(LOWEST_VERSION, lowest):
        raise IncompatibleBrokerVersion(
            f"the broker takes versions {lowest} to {highest} of Produce, of which we know {LOWEST_VERSION} to"
            f" {HIGHEST_VERSION}"
        )
    return version


def _number(answer: BytesIO) -> int:
    (number,) = _COUNT.unpack(answer.read(_COUNT.size))
    return int(number)
