"""TLS before a server that has none: Valkey and Redis as the tests get them are built without."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import redis

from bridge.settings.tls import CertificateFiles
from tests.support.certificates import CertificateFolder
from tests.support.threaded_server import Threaded


class TlsFront(Threaded):
    """Listens at `localhost` within the block, in a thread of its own, and passes on what it decrypts.

    `upstream` is the port of the server behind. It shows the certificate `right` of the folder at first.
    """

    def __init__(self, upstream: int, certificates: CertificateFolder) -> None:
        super().__init__()
        self._upstream = upstream
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        right = certificates.write("right")
        self._context.load_cert_chain(right.certificate, right.key)
        self._trusted = certificates.trust_file()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its address, for who trusts the authority of the folder."""
        return f"rediss://localhost:{self.port}/0?ssl_ca_certs={self._trusted}"

    def connect(self) -> redis.Redis:
        """A client of the server behind, whose answers are text."""
        return redis.Redis(port=self._upstream, decode_responses=True)

    def show(self, certificate: CertificateFiles) -> None:
        """End all connections, and show another certificate from now on."""
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._loop.call_soon_threadsafe(lambda: [one.cancel() for one in self._connections])

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """It passes on within this block."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # of handshakes that a client broke off
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port, ssl=self._context)
        yield
        server.close()
        for one in self._connections:
            one.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError), contextlib.ExitStack() as closing:
            closing.callback(self._connections.discard, task)
            closing.callback(writer.transport.abort)
            behind, onward = await asyncio.open_connection("127.0.0.1", self._upstream)
            closing.callback(onward.transport.abort)
            ways = [asyncio.create_task(_copy(reader, onward)), asyncio.create_task(_copy(behind, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
