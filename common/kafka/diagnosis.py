"""Why Kafka cannot be reached, in one line: aiokafka raises only that it cannot, and logs the cause."""

from __future__ import annotations

import logging
import socket
import ssl
import time

from aiokafka.errors import (
    InvalidTimestampError,
    KafkaConnectionError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from common.kafka.connection import UnreachableError
from common.unreachable import why_unreachable

UNKNOWN_CAUSE = "nothing listens there, or it closes the connection: is …KAFKA_SECURITY_PROTOCOL right?"
CAUSE_LASTS_S = 2.0
TOO_FEW_REPLICAS = (
    "too few replicas of a partition are in sync: brokers are away, or the topic's min.insync.replicas is above what"
    " there is"
)
ADVICE = {
    SaslAuthenticationFailed: "the broker refuses user name and password:"
    " see …KAFKA_SASL_USERNAME, …KAFKA_SASL_PASSWORD and …KAFKA_SASL_MECHANISM",
    ssl.SSLCertVerificationError: "the broker's certificate is not accepted: see …KAFKA_SSL_CAFILE",
    TopicAuthorizationFailedError: "the user is not allowed to use the topic: ask the broker's operator",
    TimeoutError: "it does not answer",
    RequestTimedOutError: "it is connected, and does not answer",
    LeaderNotAvailableError: "a partition of the topic has no leader: brokers are away",
    NotEnoughReplicasError: TOO_FEW_REPLICAS,
    NotEnoughReplicasAfterAppendError: TOO_FEW_REPLICAS,
    InvalidTimestampError: "Kafka takes no record of such a time: is the clock of this machine ahead of the brokers',"
    " or is a record older than the topic's message.timestamp.before.max.ms?",
}
_SAY_NO_MORE = {
    TimeoutError,
    RequestTimedOutError,
    LeaderNotAvailableError,
    NotEnoughReplicasError,
    NotEnoughReplicasAfterAppendError,
    InvalidTimestampError,
}
"""They tell their names themselves."""


class _Causes(logging.Handler):
    """Remembers the exception that aiokafka's client logged last, for a moment: several may ask for it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._last: BaseException | None = None
        self._noted_at = 0.0

    @property
    def last(self) -> BaseException | None:
        """What failed a moment ago."""
        return self._last if time.monotonic() - self._noted_at < CAUSE_LASTS_S else None

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        found = next((item for item in arguments if isinstance(item, BaseException)), None)
        if found is not None:
            self.note(found)

    def note(self, cause: BaseException) -> None:
        """Remember it."""
        self._last, self._noted_at = cause, time.monotonic()


_causes = _Causes()


def watch() -> None:
    """Begin to listen for causes, and keep aiokafka's own lines, which repeat ours, out of the log.

    For every process with a Kafka client, once its logging is set up.
    """
    logger = logging.getLogger("aiokafka")
    logger.propagate = False
    if _causes not in logger.handlers:
        logger.addHandler(_causes)


def note_cause(cause: BaseException) -> None:
    """Remember why there is no connection to a broker, where aiokafka will only say that there is none."""
    _causes.note(cause)


def explain(error: BaseException) -> str:
    """A failure of a Kafka client in words, with the address that it is about and what to look at."""
    cause: BaseException | None = error
    if isinstance(error, KafkaConnectionError | NodeNotReadyError) and not isinstance(error, UnreachableError):
        cause = _causes.last or error
    unreachable = _chained(cause, UnreachableError)
    if isinstance(unreachable, UnreachableError):
        return _explain_unreachable(unreachable)
    for kind, advice in ADVICE.items():
        found = _chained(cause, kind)
        if found is not None:
            detail = " ".join(str(found).split())
            return f"{advice} ({detail})" if detail and kind not in _SAY_NO_MORE else advice
    if isinstance(cause, KafkaConnectionError | NodeNotReadyError):
        return UNKNOWN_CAUSE
    text = " ".join(str(cause).split())
    if isinstance(cause, OSError) and cause.errno is None:  # one of ours, which says it all
        return text
    # Errors of aiokafka begin with their name themselves, some behind a number.
    return text if type(cause).__name__ in text else f"{type(cause).__name__}: {text}".removesuffix(": ")


def _explain_unreachable(error: UnreachableError) -> str:
    cause = error.__cause__
    if error.is_refused:
        return f"nothing listens there ({error.address})"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{ADVICE[ssl.SSLCertVerificationError]} ({error.address}: {cause.verify_message})"
    if isinstance(cause, socket.gaierror):
        return f"the name in {error.address} is not known here: it is of …KAFKA_BOOTSTRAP_SERVERS, or a broker's own"
    if isinstance(cause, TimeoutError):
        return (
            f"it does not answer as a Kafka broker does ({error.address}): it hangs, is cut off or has too much to do,"
            " or it is none, see …KAFKA_BOOTSTRAP_SERVERS"
        )
    if isinstance(cause, ssl.SSLError):
        return f"{why_unreachable(cause)} ({error.address}): is …KAFKA_SECURITY_PROTOCOL right?"
    return f"it cannot be reached ({error.address}: {why_unreachable(cause or error)})"


def _chained(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None
