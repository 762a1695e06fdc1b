"""Why Kafka cannot be reached, in one line: aiokafka raises only that it cannot, and logs the cause."""

from __future__ import annotations

import logging
import socket
import ssl

from aiokafka.errors import (
    KafkaConnectionError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from common.kafka.connection import UnreachableError
from common.unreachable import why_unreachable

ADVICE = {
    SaslAuthenticationFailed: "the broker refuses user name and password:"
    " see …KAFKA_SASL_USERNAME, …KAFKA_SASL_PASSWORD and …KAFKA_SASL_MECHANISM",
    ssl.SSLCertVerificationError: "the broker's certificate is not accepted: see …KAFKA_SSL_CAFILE",
    TopicAuthorizationFailedError: "the user is not allowed to use the topic: ask the broker's operator",
    TimeoutError: "it does not answer",
}


class _Causes(logging.Handler):
    """Remembers the exception that aiokafka's client logged last."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        self.last = next((item for item in arguments if isinstance(item, BaseException)), self.last)


_causes = _Causes()


def watch() -> None:
    """Begin to listen for causes, and keep aiokafka's own lines, which repeat ours, out of the log.

    For every process with a Kafka client, once its logging is set up.
    """
    logger = logging.getLogger("aiokafka")
    logger.propagate = False
    if _causes not in logger.handlers:
        logger.addHandler(_causes)


def explain(error: BaseException) -> str:
    """A failure of a Kafka client in words, with the address that it is about and what to look at."""
    cause: BaseException | None = error
    if isinstance(error, KafkaConnectionError | NodeNotReadyError) and not isinstance(error, UnreachableError):
        cause, _causes.last = _causes.last or error, None
    unreachable = _chained(cause, UnreachableError)
    if isinstance(unreachable, UnreachableError):
        return _explain_unreachable(unreachable)
    for kind, advice in ADVICE.items():
        found = _chained(cause, kind)
        if found is not None:
            detail = " ".join(str(found).split())
            return f"{advice} ({detail})" if detail and kind is not TimeoutError else advice
    if isinstance(cause, KafkaConnectionError | NodeNotReadyError):
        return "nothing listens there, or it closes the connection: is …KAFKA_SECURITY_PROTOCOL right?"
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
