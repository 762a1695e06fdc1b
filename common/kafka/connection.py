"""Makes aiokafka's connections break in the way that aiokafka itself expects, whatever event loop runs.

A broker that dies resets its connections. For a moment, until the event loop has told aiokafka, they look alive, and
requests are still written to them. asyncio's own transports take such a write; that the connection is lost follows.
Those of uvloop raise RuntimeError, which aiokafka takes for no failure of a connection
(https://github.com/aio-libs/aiokafka/issues/1038). So it ends the task that was about to send: that of heartbeats, of
fetching, of sending, or the one that fetches metadata, for which all the others wait from then on, for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError

from common.renewed import RenewedPassword
from common.unreachable import is_refused


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
        except OSError as error:
            raise UnreachableError(self.host, self.port, error) from error

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Write a request.

        Returns:
            an awaitable of its answer.

        Raises:
            KafkaConnectionError: the connection is broken; it is closed now.
        """
        try:
            return super().send(request, expect_response)
        except KafkaError:  # is a RuntimeError too
            raise
        except RuntimeError as error:
            raise self._broken(error) from error

    def ask(self, request: FramedRequest) -> asyncio.Future[Any]:
        """Write a request, as `send` does, without a copy of it and without coroutines that wait for its answer: of
        50 KB, both together take half of the instructions.

        Returns:
            its answer; or RequestTimedOutError, if that does not come within the time that requests have: then the
            connection is closed.

        Raises:
            KafkaError: the connection is broken, and closed now, or the broker knows no such request.
        """
        if self._writer is None:
            raise KafkaConnectionError(f"No connection to broker at {self.host}:{self.port}")
        correlation_id = self._next_correlation_id()
        frame = request.frame(self._versions, correlation_id, self._client_id)
        try:
            self._writer.writelines(frame)
        except (OSError, RuntimeError) as error:
            raise self._broken(error) from error
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._requests.append((correlation_id, request, answer))
        timer = self._loop.call_later(self._request_timeout, self._time_out, answer)
        answer.add_done_callback(lambda _answer: timer.cancel())
        return answer

    def _time_out(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(RequestTimedOutError())
            self.close(reason=CloseReason.CONNECTION_TIMEOUT)

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


def mend_connections() -> None:
    """Let all clients that are made in this process connect in this way."""
    aiokafka.conn.AIOKafkaConnection = MendedConnection
