"""The admin port: what it shows, and how little whoever reaches it can take."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector
from prometheus_client import CollectorRegistry, Counter

from common.admin import AdminServer, Readiness
from common.get_server import MAX_HEAD_BYTES, GetServer, ServedPage
from common.listening import listen
from tests.support.ports import free_port

LOOPBACK = "127.0.0.1"
FAILURES = {"/broken": RuntimeError("a bug"), "/late": TimeoutError(), "/disk": OSError(5, "it fails")}
"""Path → what making its page raises."""


@asynccontextmanager
async def pages(**limits: float) -> AsyncIterator[int]:
    """A server of pages that show their path; its port."""

    async def page(path: str) -> ServedPage:
        if path in FAILURES:
            raise FAILURES[path]
        return ServedPage(path.encode())

    listener = listen(LOOPBACK, 0, backlog=16)
    server = GetServer(listener, page, **limits)  # type: ignore[arg-type]
    yield listener.getsockname()[1]
    await server.stop()


async def asked(port: int, request: bytes, *, ends: bool = False) -> bytes:
    """All that comes for a request."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(request)
    if ends:
        writer.write_eof()
    reply = await reader.read()
    writer.close()
    return reply


def descriptors() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def highest_descriptor() -> int:
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())


def admin(port: int, *, is_ready: bool = True, unix_socket: str | None = None) -> AdminServer:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    readiness = Readiness(is_ready, {"disk": "ok"})
    return AdminServer(LOOPBACK, port, readiness=lambda: readiness, registry=registry, unix_socket=unix_socket)


@pytest.mark.parametrize("is_ready", [True, False])
async def test_health_readiness_and_metrics_are_shown(is_ready: bool) -> None:
    port = free_port()
    server = admin(port, is_ready=is_ready)
    await server.start()
    async with ClientSession(f"http://{LOOPBACK}:{port}") as session:
        async with session.get("/healthz") as reply:
            assert (reply.status, await reply.text()) == (200, "ok\n")
        async with session.get("/readyz?verbose=1") as reply:
            assert reply.status == (200 if is_ready else 503)
            assert await reply.json() == {"ready": is_ready, "disk": "ok"}
        async with session.get("/metrics") as reply:
            assert "things_total 3.0" in await reply.text()
            assert reply.headers["Content-Type"].startswith("text/plain")
        async with session.get("/") as reply:
            assert reply.status == 404
            assert "/readyz" in await reply.text()
    await server.stop()


async def test_a_port_that_is_taken_is_named() -> None:
    with listen(LOOPBACK, 0, backlog=1) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} for health checks.*taken.*_ADMIN_PORT"):
            await admin(port).start()


async def test_pages_are_shown_while_all_descriptors_are_used_up(caplog: pytest.LogCaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with pages() as port:
        clients = [socket.socket() for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest_descriptor() + 8, before[1]))
        used: list[int] = []
        try:
            with contextlib.suppress(OSError):
                while True:
                    used.append(os.dup(1))
            shown = [await _asked_on(client, port) for client in clients]
        finally:
            for one in used:
                os.close(one)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert all(reply.endswith(b"/a") for reply in shown)
    assert "cannot accept connections for health checks: Too many open files" in caplog.text


async def _asked_on(client: socket.socket, port: int) -> bytes:
    """All that comes for a request on a socket that there is already."""
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    with client:
        async with asyncio.timeout(60):
            await loop.sock_connect(client, (LOOPBACK, port))
            await loop.sock_sendall(client, b"GET /a HTTP/1.1\r\n\r\n")
            parts = []
            while part := await loop.sock_recv(client, 4096):
                parts.append(part)
    return b"".join(parts)


async def test_a_socket_file_that_a_dead_process_left_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = admin(0, unix_socket=str(path))
    await server.start()
    async with ClientSession(connector=UnixConnector(str(path))) as session, session.get("http://x/healthz") as reply:
        assert reply.status == 200
    await server.stop()
    assert not path.exists()


@pytest.mark.parametrize(
    ("request_bytes", "status", "body"),
    [
        (b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", 200, b"/a"),
        (b"GET http://x:1/a HTTP/1.0\r\n\r\n", 200, b"/a"),
        (b"HEAD /a HTTP/1.1\r\n\r\n", 200, b""),
        (b"POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 405, b"Method Not Allowed\n"),
        (b"GARBAGE\r\n\r\n", 400, b"Bad Request\n"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400, b"Bad Request\n"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400, b"Bad Request\n"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 2 * MAX_HEAD_BYTES, 431, b"Request Header Fields Too Large\n"),
        *((b"GET %b HTTP/1.1\r\n\r\n" % path.encode(), 500, b"Internal Server Error\n") for path in FAILURES),
    ],
)
async def test_whatever_comes_is_answered_once_and_the_connection_closed(
    request_bytes: bytes, status: int, body: bytes
) -> None:
    async with pages() as port:
        reply = await asked(port, request_bytes, ends=True)
    head, _, content = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close" in head
    assert content == body


async def test_a_head_that_does_not_end_is_answered_408() -> None:
    async with pages(head_s=0.05) as port:
        assert (await asked(port, b"GET / HT")).startswith(b"HTTP/1.1 408 ")


async def test_held_connections_keep_no_health_check_out_and_take_few_descriptors() -> None:
    async with pages(max_connections=4, head_s=60) as port:
        before = descriptors()
        held = [await asyncio.open_connection(LOOPBACK, port) for _ in range(50)]
        assert (await asked(port, b"GET /a HTTP/1.1\r\n\r\n")).endswith(b"/a")
        assert descriptors() < before + len(held) + 10
        for _, writer in held:
            writer.close()
