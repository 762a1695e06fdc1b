"""A proxy before Redis, as managed ones have it: it forbids commands, fails over, and answers in its own words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

from consumers.badges.slots import slot_of


class RespProxy:
    """Listens on a port of its own within the block, in the test's event loop.

    `answers` are the errors that it answers to commands by name instead of Redis, and `judge` is given the words of
    each command for the same; `upstream` is the port of the server
    behind, for connections that begin from then on.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.answers: dict[str, str] = {}
        self.judge: Callable[[list[bytes]], str | None] = lambda _words: None
        self._server: asyncio.Server
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            answer_reader, upstream = await asyncio.open_connection("127.0.0.1", self.upstream)
            back = asyncio.create_task(_copy(answer_reader, writer))
            try:
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    while True:
                        words, raw = await _command(reader)
                        if answer := self.answers.get(words[0].decode().upper()) or self.judge(words):
                            writer.write(f"-{answer}\r\n".encode())
                        else:
                            upstream.write(raw)
            finally:
                back.cancel()
                await _close(upstream)
        finally:
            await _close(writer)
            self._connections.discard(task)


def refuse_several_slots(words: list[bytes]) -> str | None:
    """A `judge`: what a proxy before a cluster answers to a script on keys of several slots."""
    if words[0].upper() not in {b"EVAL", b"EVALSHA"}:
        return "ERR unknown command 'cluster'" if words[0].upper() == b"CLUSTER" else None
    slots = {slot_of(key) for key in words[3 : 3 + int(words[2])]}
    return "ERR 'EVAL' command keys must in same slot" if len(slots) > 1 else None


async def _close(writer: asyncio.StreamWriter) -> None:
    """Also when the loop ends next: else its transport would be collected unclosed, during another test."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _command(reader: asyncio.StreamReader) -> tuple[list[bytes], bytes]:
    raw = head = await reader.readuntil(b"\r\n")
    words: list[bytes] = []
    for _ in range(int(head[1:])):
        size = await reader.readuntil(b"\r\n")
        word = await reader.readexactly(int(size[1:]) + 2)
        raw += size + word
        words.append(word[:-2])
    return words, raw


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()
