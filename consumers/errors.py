"""Which failures pass by themselves, and which are the fault of an event."""

from __future__ import annotations

import hashlib
import traceback

import aiohttp
import redis.exceptions
from aiokafka.errors import (
    ConsumerStoppedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
)

from common.kafka.diagnosis import explain

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)

# Redis answers a command with these while it starts, fails over, is full, or is not set up yet.
_PASSING_ANSWERS = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNKILLABLE",
)
_PASSING_REDIS = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.ConnectionError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TimeoutError,
    redis.exceptions.TryAgainError,
)


class RetryLater(Exception):  # noqa: N818 - says what to do, not what went wrong
    """A worker cannot do its work now, through no fault of the events: they are kept and tried again for ever.

    The message is logged once, when the waiting begins; it should be the same at every attempt.
    """


class PoisonError(Exception):
    """A worker knows which message of its batch is at fault, and has handled all before it. The message says why.

    Args:
        message: the very object that `handle` was given.
        reason: what is wrong with it.
    """

    def __init__(self, message: object, reason: str) -> None:
        super().__init__(reason)
        self.message = message


class WorkerRefusedError(Exception):
    """A worker can never run as it is set up. The message says what to change; the process ends with it."""


_PASSING = (
    RetryLater,
    ConnectionError,
    TimeoutError,
    ConsumerStoppedError,
    aiohttp.ClientConnectionError,
    *_PASSING_REDIS,
)


def is_passing(error: BaseException) -> bool:
    """Whether waiting helps: connections that break, time-outs, servers that start, are full or have no leader."""
    if isinstance(error, redis.exceptions.ResponseError):
        return isinstance(error, _PASSING_REDIS) or str(error).lstrip("-").startswith(_PASSING_ANSWERS)
    if isinstance(error, KafkaError):
        return not isinstance(error, TOO_LARGE)
    return isinstance(error, _PASSING)


def describe(error: BaseException) -> str:
    """The error in one line of at most 300 characters."""
    text = " ".join(str(error).split())
    if isinstance(error, RetryLater | WorkerRefusedError):
        return text[:300]
    if isinstance(error, KafkaError):
        return explain(error)[:300]
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


def traceback_hash(error: BaseException) -> str:
    """16 hex digits, equal for errors of one type raised at one place: they group the dead letters of one fault."""
    frames = traceback.extract_tb(error.__traceback__)
    place = "\n".join(f"{frame.filename.rpartition('/')[2]}:{frame.name}:{frame.lineno}" for frame in frames)
    return hashlib.sha256(f"{type(error).__qualname__}\n{place}".encode()).hexdigest()[:16]
