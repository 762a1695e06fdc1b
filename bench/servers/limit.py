"""The limit of Python: httptools on uvloop, and nothing else is done. `python -m bench.servers.limit PORT`."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

from bench.servers.by_hand import OK

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(OK)
REPLY = HEAD + OK


class NoopConnection(asyncio.Protocol):
    """A connection whose requests are parsed, and answered alike."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Called by the parser: a server needs it."""
        self._url = url

    def on_body(self, body: bytes) -> None:
        """Called by the parser: a server needs it."""
        self._body = body

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a request."""
        self._transport.write(REPLY)


async def main(port: int) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(NoopConnection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
