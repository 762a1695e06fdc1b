"""Whoever holds connections and asks for nothing keeps nobody out, and holds none for long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
import pytest
from aiohttp import web

from bridge.console.application import make_application
from bridge.console.connections import Connections
from bridge.settings import DeveloperSettings
from common.listening import listen
from tests.console.test_access import OURS, TOKEN, parts_of
from tests.support.http import until

MOST = 8
SETTINGS = {"console_token": TOKEN, "kafka_bootstrap_servers": "127.0.0.1:1"}
HALF_A_HEAD = b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-"


class Console:
    """A console that has room for few, and what is connected to it."""

    def __init__(self, port: int, server: web.Server) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.server = server
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, sent: bytes = b"") -> asyncio.StreamReader:
        """A connection on which this is sent, and no more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        self._writers.append(writer)
        return reader

    def close(self) -> None:
        """End what is connected."""
        for writer in self._writers:
            writer.close()

    async def is_there(self) -> bool:
        """Whether somebody who comes now is answered."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{self.url}/api/health") as response:
                    return response.status == HTTPStatus.OK
            except aiohttp.ClientError:
                return False


@contextlib.asynccontextmanager
async def console(*, idle_s: float = 3600) -> AsyncIterator[Console]:
    connections = Connections(MOST)
    parts = parts_of(DeveloperSettings.model_validate(SETTINGS))
    application = make_application(parts, connections)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, keepalive_timeout=idle_s)
    await runner.setup()
    assert runner.server is not None
    listener = listen("127.0.0.1", 0, backlog=64)
    async with connections.accepting(runner.server, listener):
        made = Console(listener.getsockname()[1], runner.server)
        yield made
        made.close()
        for viewer in parts.live.viewers:
            viewer.drop()
    await runner.cleanup()


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
async def test_who_sends_no_request_is_closed_when_the_time_is_over(sent: bytes) -> None:
    async with console(idle_s=0.2) as one:
        reader = await one.connect(sent)
        assert await reader.read() == b""


BODY_THAT_NEVER_COMES = (
    "POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in OURS.items())
    + "\r\n"
).encode()


@pytest.mark.parametrize(
    "sent", [b"", HALF_A_HEAD, BODY_THAT_NEVER_COMES], ids=["nothing", "half a head", "no body to sign in"]
)
async def test_the_oldest_of_those_that_ask_for_nothing_makes_room_for_who_comes(sent: bytes) -> None:
    async with console() as one:
        held = [await one.connect(sent) for _ in range(MOST * 3)]
        await until(lambda: len(one.server.connections) == MOST)
        assert await one.is_there()
        assert await held[0].read() == b""
        assert not held[-1].at_eof()


async def test_who_follows_is_not_closed_for_who_comes_and_of_too_many_the_last_are_refused() -> None:
    async with console() as one, aiohttp.ClientSession() as session:
        following = [await session.get(f"{one.url}/api/live") for _ in range(MOST)]
        assert all(response.status == HTTPStatus.OK for response in following)
        assert not await one.is_there()
        following.pop().close()
        await until(lambda: len(one.server.connections) < MOST)
        assert await one.is_there()
        for response in following:
            assert await response.content.readline()
            response.close()
