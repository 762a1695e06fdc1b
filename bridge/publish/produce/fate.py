"""What the error code of a partition means for the batch that it is the answer to."""

from __future__ import annotations

from enum import Enum

from aiokafka.errors import (
    BrokerResponseError,
    DuplicateSequenceNumber,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
    for_code,
)

MAX_DAMAGED = 3
"""A batch that has arrived damaged so often is so by itself, not by its way."""


class Fate(Enum):
    """What becomes of a batch."""

    CONFIRMED = "Kafka has it"
    AGAIN = "it is sent again"
    AGAIN_ELSEWHERE = "it is sent again, to the leader of its partition, who is to be found"
    REFUSED = "Kafka will never take it, because of one of its records"
    REFUSED_TIME = "Kafka takes it without the times of its records"
    LOST = "nothing can be sent under this producer's id any more"


class NetworkError(BrokerResponseError):  # type: ignore[misc]
    """The leader lost a connection meanwhile; aiokafka has another name for this code."""

    errno = 13
    message = "NETWORK_EXCEPTION"
    retriable = True
    invalid_metadata = True


class CorruptBatchError(BrokerResponseError):  # type: ignore[misc]
    """The checksum of a batch, or its form, is wrong."""

    errno = 2
    message = "CORRUPT_MESSAGE"


class FencedLeaderEpochError(BrokerResponseError):  # type: ignore[misc]
    """The leader knows of another one."""

    errno = 74
    message = "FENCED_LEADER_EPOCH"
    retriable = True
    invalid_metadata = True


class UnknownLeaderEpochError(BrokerResponseError):  # type: ignore[misc]
    """We know more of leaders than the broker does."""

    errno = 75
    message = "UNKNOWN_LEADER_EPOCH"
    retriable = True


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]
    """The topic does not take a record like one of these: without a key, for example, where it is compacted."""

    errno = 87
    message = "INVALID_RECORD"


_MORE = {
    one.errno: one
    for one in (NetworkError, CorruptBatchError, FencedLeaderEpochError, UnknownLeaderEpochError, InvalidRecordError)
}
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError, InvalidRecordError)


def error_of(code: int) -> KafkaError:
    """The error of a code that is not 0."""
    error_class: type[KafkaError] = _MORE.get(code) or for_code(code)
    return error_class()


def fate_of(error: KafkaError, *, damaged: int, is_first: bool) -> Fate:
    """What becomes of a batch.

    Args:
        error: what the broker says of it, or why nobody knows what became of it.
        damaged: how often it has arrived damaged, this time included.
        is_first: whether no batch of its partition before it is unconfirmed. One that is would explain why the sequence
            numbers of this one do not follow those that the broker has.
    """
    match error:
        case DuplicateSequenceNumber():
            return Fate.CONFIRMED
        case OutOfOrderSequenceNumber():
            return Fate.LOST if is_first else Fate.AGAIN
        case CorruptBatchError():
            return Fate.AGAIN if damaged < MAX_DAMAGED else Fate.REFUSED
        case _ if isinstance(error, _REFUSALS):
            return Fate.REFUSED_TIME if isinstance(error, InvalidTimestampError) else Fate.REFUSED
        case _ if not error.retriable:
            return Fate.LOST
        case _:
            return Fate.AGAIN_ELSEWHERE if error.invalid_metadata else Fate.AGAIN
