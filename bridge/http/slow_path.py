"""The slow path: a request goes aiohttp's way, through a task and a request object, and then to the same ingress.

It is for whatever did not arrive at once as a plain POST: a body in pieces or compressed, a client that waits for
`100 Continue`, one that closes after its request, HTTP/1.0, other methods.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.http.headers import TRACEPARENT_HEADER, forwarded_for
from bridge.http.response import RenderedResponse
from bridge.ingress import refusals
from bridge.ingress.ingress import UNHANDLED, Ingress
from bridge.ingress.refusals import RefusedError
from bridge.ingress.replies import PlatformReply

log = logging.getLogger(__name__)


class SlowPath:
    """Answers the requests that aiohttp's server handles.

    Args:
        ingress: accepts callbacks.
        max_body_bytes: a larger body is not read.
        body_timeout_s: how long a body may take to arrive.
        asks_to_close: whether each reply asks the client to close its connection.
    """

    def __init__(
        self, ingress: Ingress, *, max_body_bytes: int, body_timeout_s: float, asks_to_close: Callable[[], bool]
    ) -> None:
        self._ingress = ingress
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._asks_to_close = asks_to_close

    async def handle(self, http_request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. A body is read only if the head is admitted."""
        request = SlowRequest(http_request)
        try:
            verdict = self._ingress.admit(request)
            request.body = await self._read(http_request)
        except RefusedError as refused:
            self._ingress.refuse(request, refused.refusal)
        except Exception:
            log.exception(UNHANDLED)
            self._ingress.fail(request)
        except BaseException:  # Its task is cancelled when the process stops, whether the body is there or not.
            self._ingress.forget()
            raise
        else:
            self._ingress.accept(request, verdict)
        reply = await request.reply
        is_last = not http_request.keep_alive or http_request.version < HttpVersion11
        return RenderedResponse(reply, closing=self._asks_to_close() or is_last or reply.closes)

    async def _read(self, request: web.BaseRequest) -> bytes:
        """The body.

        Raises:
            RefusedError: it is too large, too slow, or not HTTP.
        """
        max_bytes = self._max_body_bytes
        try:
            if request.content.is_eof():  # It came with the head: no timer is needed, and nothing to wait for.
                return request.content.read_nowait()
            if (request.content_length or 0) > max_bytes:
                raise RefusedError(refusals.too_large(max_bytes))
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            async with asyncio.timeout(self._body_timeout_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise RefusedError(refusals.too_large(max_bytes)) from error
        except TimeoutError as error:
            raise RefusedError(refusals.SLOW_BODY) from error
        except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
            raise RefusedError(refusals.BROKEN_BODY) from error


class SlowRequest:
    """A request of aiohttp as a `CallbackRequest`."""

    __slots__ = ("_request", "arrived", "body", "reply")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.arrived = time.perf_counter()
        """When its head had arrived."""
        self.body = b""
        """Set when it is read."""
        self.reply: asyncio.Future[PlatformReply] = asyncio.get_running_loop().create_future()

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self._request.method

    @property
    def path(self) -> str:
        """Path and query as they came."""
        return self._request.raw_path

    @property
    def peer(self) -> str | None:
        """Address of whoever is connected."""
        return self._request.remote

    @property
    def forwarded_for(self) -> str:
        """Values of all headers `X-Forwarded-For`, joined with commas."""
        return forwarded_for(self._request.headers)

    @property
    def traceparent(self) -> str:
        """The header `traceparent`, empty if there is none."""
        return self._request.headers.get(TRACEPARENT_HEADER, "")

    @property
    def size(self) -> int | None:
        """The header `Content-Length`, None if there is none."""
        return self._request.content_length

    def respond(self, reply: PlatformReply) -> None:
        """Let the reply go, unless nobody waits for it any more."""
        if not self.reply.done():
            self.reply.set_result(reply)
