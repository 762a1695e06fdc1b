"""TLS that a client speaks by hand, on a connection that has begun in another way, cut wherever a test wants."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tests.support.http import Client


class TlsOver:
    """TLS on a connection that has begun in another way."""

    def __init__(self, client: Client, tls: dict[str, Any]) -> None:
        self._client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls["ssl"].wrap_bio(self._incoming, self._outgoing, server_hostname=tls["server_hostname"])

    async def handshake(self, before: bytes, cuts: list[int]) -> None:
        """Send this and the handshake, cut at these places."""
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        first = before + self._outgoing.read()
        for begin, end in zip([0, *cuts], [*cuts, len(first)], strict=True):
            self._client.send(first[begin:end])
            await asyncio.sleep(0.01)
        await self._repeat(self._tls.do_handshake)

    async def ask(self, data: bytes) -> bytes:
        """Send this; the reply to it."""
        self._tls.write(data)
        reply: bytes = await self._repeat(lambda: self._tls.read(65536))
        return reply

    async def _repeat(self, act: Any) -> Any:
        while True:
            try:
                done = act()
            except ssl.SSLWantReadError:
                self._client.send(self._outgoing.read())
                self._incoming.write(await self._client.some())
            else:
                self._client.send(self._outgoing.read())
                return done
