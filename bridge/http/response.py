"""A reply that is written as bytes, head and all, and may be given again and again.

aiohttp builds the headers of each response anew; for the one reply that nearly every callback gets, that is a tenth of
all the work of a request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time


class ReadyMadeReply(web.StreamResponse):
    """A JSON reply. It has no state of a request, so one instance serves all.

    Args:
        content: the body.
        status: the status.
        headers: further headers.
        closing: whether the connection is closed after it.
    """

    def __init__(
        self,
        content: bytes,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        closing: bool,
    ) -> None:
        super().__init__(status=status)
        if closing:
            self.force_close()
        else:
            self._keep_alive = True
        self.content = content
        self.closing = closing
        self._further = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._made_at = 0
        self._bytes = b""

    def __bytes__(self) -> bytes:
        """Head and body, as they go over the wire now."""
        now = int(time.time())
        if now != self._made_at:
            self._made_at = now
            self._bytes = self._make()
        return self._bytes

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write the whole reply."""
        if request.transport is None:
            raise ConnectionResetError("the client closed the connection")
        request.transport.write(bytes(self))
        await request.writer.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""

    def _make(self) -> bytes:
        status = HTTPStatus(self.status)
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.content)}\r\nDate: {rfc822_formatted_time()}\r\n"
        )
        closing = "Connection: close\r\n" if self.closing else ""
        return f"{head}{self._further}{closing}\r\n".encode() + self.content
