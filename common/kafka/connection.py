"""Makes aiokafka's connections break in the way that aiokafka itself expects, whatever event loop runs.

A broker that dies resets its connections. For a moment, until the event loop has told aiokafka, they look alive, and
requests are still written to them. asyncio's own transports take such a write; that the connection is lost follows.
Those of uvloop raise RuntimeError, which aiokafka takes for no failure of a connection
(https://github.com/aio-libs/aiokafka/issues/1038). So it ends the task that was about to send: that of heartbeats, of
fetching, of sending, or the one that fetches metadata, for which all the others wait from then on, for ever.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

from common.kafka.answers import AnswerReader
from common.kafka.produce_frame import ALL_REPLICAS, HIGHEST_VERSION, LOWEST_VERSION, produce_frame
from common.kafka.produce_frame import API_KEY as PRODUCE
from common.logs import fields
from common.renewed import RenewedPassword
from common.unreachable import is_refused

log = logging.getLogger(__name__)


class UnreachableError(KafkaConnectionError):  # type: ignore[misc]
    """A broker cannot be reached; aiokafka's own errors do not say where it should be."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        self.address = f"{host}:{port}"
        self.is_refused = is_refused(error)
        super().__init__(f"{self.address}: {error}")


class FramedRequest(Protocol):
    """A request that can be written as a whole, and whose answer aiokafka finds out how to read as of its own."""

    def frame(
        self, versions: Mapping[int, tuple[int, int]], correlation_id: int, client_id: str
    ) -> Sequence[bytes | bytearray]:
        """All of it in parts, with its size in front, for a broker that knows these versions: API key → lowest and
        highest."""


class MendedConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection that raises KafkaConnectionError where a request cannot be written, with the password of now."""

    def __init__(self, *arguments: Any, sasl_plain_password: str | None = None, **options: Any) -> None:
        if isinstance(sasl_plain_password, RenewedPassword):
            sasl_plain_password = sasl_plain_password.read()
        super().__init__(*arguments, sasl_plain_password=sasl_plain_password, **options)

    async def connect(self) -> Any:
        """Connect.

        Raises:
            UnreachableError: there is nobody to connect to.
            KafkaError, TimeoutError: whoever is there is no broker of ours, or does not answer.
        """
        try:
            return await super().connect()
        except RequestTimedOutError:
            silence = TimeoutError("it does not answer")
            raise UnreachableError(self.host, self.port, silence) from silence
        except OSError as error:
            raise UnreachableError(self.host, self.port, error) from error

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Write a request of aiokafka's.

        Returns:
            an awaitable of its answer; see `ask`, also for what it raises.
        """
        if not expect_response:
            return super().send(request, expect_response)
        made = request.prepare(self._versions)
        correlation_id = self._next_correlation_id()
        return self._write(correlation_id, made, _frame_of(made, correlation_id, self._client_id))

    def ask(self, request: FramedRequest) -> asyncio.Future[Any]:
        """Write a request.

        Returns:
            its answer; or RequestTimedOutError, if that does not come within the time that requests have: then the
            connection is closed.

        Raises:
            KafkaError: the connection is broken, and closed now, or the broker knows no such request.
        """
        correlation_id = self._next_correlation_id()
        return self._write(correlation_id, request, request.frame(self._versions, correlation_id, self._client_id))

    def _write(self, correlation_id: int, request: Any, frame: Sequence[bytes | bytearray]) -> asyncio.Future[Any]:
        """Write a request, without the copies that aiokafka makes and without coroutines that wait for its answer: of
        50 KB, both together take half of the instructions."""
        if self._writer is None:
            raise KafkaConnectionError(f"No connection to broker at {self.host}:{self.port}")
        try:
            self._writer.writelines(frame)
        except (OSError, RuntimeError) as error:
            raise self._broken(error) from error
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._requests.append((correlation_id, request, answer))
        timer = self._loop.call_later(self._request_timeout, self._time_out, answer)

        def answered(_answer: object) -> None:
            timer.cancel()
            if answer.cancelled() and self._on_close_cb is None:
                self.close()  # It was made to ask a bootstrap server, and nobody else knows of it.

        answer.add_done_callback(answered)
        return answer

    def _time_out(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(RequestTimedOutError())
            self.close(reason=CloseReason.CONNECTION_TIMEOUT)

    def _create_reader_task(self) -> asyncio.Future[None]:
        """Read by an `AnswerReader` from now on. aiokafka asks what this gives whether it is done, and cancels it."""
        heard, ended, protocol = weakref.WeakMethod(self._heard), weakref.WeakMethod(self._ended), self._protocol

        def on_answer(answer: bytes) -> None:
            if (method := heard()) is not None:
                method(answer)

        def on_end(error: Exception) -> None:
            if (method := ended()) is not None:
                method(error)

        def on_lost(error: Exception | None) -> None:
            protocol.connection_lost(error)
            on_end(error or EOFError("the connection is closed"))

        self._writer.transport.set_protocol(AnswerReader(on_answer=on_answer, on_end=on_end, on_lost=on_lost))
        reading: asyncio.Future[None] = self._loop.create_future()
        return reading

    def _heard(self, answer: bytes) -> None:
        if self._reader is not None:
            self._handle_frame(answer)

    def _ended(self, error: Exception) -> None:
        if self._reader is None:  # It is closed already.
            return
        if not isinstance(error, OSError | EOFError):
            log.error("an answer of a broker cannot be read", exc_info=error, extra=fields("answer_unreadable"))
        self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:
        try:
            return super()._send_sasl_token(payload, expect_response)
        except KafkaError:
            raise
        except RuntimeError as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError | RuntimeError) -> KafkaConnectionError:
        self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
        return KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}")


def _frame_of(request: Any, correlation_id: int, client_id: str) -> Sequence[bytes | bytearray]:
    """A request of aiokafka's as it goes over the wire, in parts."""
    if (
        request.API_KEY == PRODUCE
        and LOWEST_VERSION <= request.API_VERSION <= HIGHEST_VERSION
        and (request.transactional_id, request.required_acks) == (None, ALL_REPLICAS)
    ):
        return produce_frame(request.API_VERSION, correlation_id, client_id, request.timeout, request.topics)
    header = request.build_request_header(correlation_id=correlation_id, client_id=client_id).encode()
    body = request.encode()
    return [struct.pack(">i", len(header) + len(body)), header, body]


def mend_connections() -> None:
    """Let all clients that are made in this process connect in this way."""
    aiokafka.conn.AIOKafkaConnection = MendedConnection
