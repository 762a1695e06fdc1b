"""Why Kafka cannot be reached, in one line: aiokafka raises only that it cannot, and logs the cause."""

from __future__ import annotations

import logging
import ssl

from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed, TopicAuthorizationFailedError

ADVICE = {
    SaslAuthenticationFailed: "the broker refuses user name and password:"
    " see …KAFKA_SASL_USERNAME, …KAFKA_SASL_PASSWORD and …KAFKA_SASL_MECHANISM",
    ssl.SSLCertVerificationError: "the broker's certificate is not accepted: see …KAFKA_SSL_CAFILE",
    TopicAuthorizationFailedError: "the user is not allowed to use the topic: ask the broker's operator",
    ConnectionRefusedError: "nothing listens there",
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
    """A failure of a Kafka client in words, with what to look at."""
    cause: BaseException | None = error
    if isinstance(error, KafkaConnectionError):
        cause, _causes.last = _causes.last or error, None
    for kind, advice in ADVICE.items():
        found = _chained(cause, kind)
        if found is not None:
            detail = " ".join(str(found).split())
            return f"{advice} ({detail})" if detail and kind not in (TimeoutError, ConnectionRefusedError) else advice
    if isinstance(cause, KafkaConnectionError):
        return "nothing listens there, or it closes the connection: is …KAFKA_SECURITY_PROTOCOL right?"
    return " ".join(f"{type(cause).__name__}: {cause}".split())


def _chained(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None
