"""How connections begin where TLS, or a front with the PROXY protocol, comes before HTTP."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ParamSpec

import pytest
import uvloop

from bridge.http.certificates import ServerCertificates
from common.networks import NetworkSet, read_network
from tests.http.test_proxy_protocol import of, v2
from tests.support.callbacks import recalled, sample
from tests.support.certificates import CertificateFolder
from tests.support.http import Client, serving, until, wire
from tests.support.ingress_parts import FakeJournal, ingress_with
from tests.support.tls_over import TlsOver

P = ParamSpec("P")
HOST = "localhost"
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\n"
ALLOWED = {"allowed_networks": ["203.0.113.0/24"], "trusted_proxies": ["127.0.0.0/8"]}
"""The front's own address may not post."""


def on_uvloop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the event loop of the ingress, whose TLS is another one than that of asyncio."""

    @functools.wraps(test)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        uvloop.run(test(*arguments, **options))

    return run


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    return CertificateFolder(tmp_path)


@pytest.fixture
def certificates(folder: CertificateFolder) -> ServerCertificates:
    return ServerCertificates({"": folder.write("a", HOST)})


@pytest.fixture
def tls(folder: CertificateFolder) -> dict[str, Any]:
    return {"ssl": folder.client(), "server_hostname": HOST}


def senders(*networks: str) -> NetworkSet:
    return NetworkSet(map(read_network, networks or ("127.0.0.0/8",)))


def status(reply: bytes) -> int:
    return int(reply.split()[1])


async def hello(tls: dict[str, Any]) -> bytes:
    """The first message of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls["ssl"].wrap_bio(incoming, outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# -- TLS ---------------------------------------------------------------------------------------------------------------


@on_uvloop
async def test_callbacks_are_taken_over_tls_one_after_the_other_and_in_pieces(
    certificates: ServerCertificates, tls: dict[str, Any]
) -> None:
    journal = FakeJournal(True)
    async with serving(ingress_with(journal), certificates=certificates) as server, server.connect(**tls) as client:
        for _ in range(3):
            assert status(await client.ask(wire(recalled("ann")))) == 200
        request = wire(recalled("ann"))
        for at in (1, 40, len(request) - 1):
            client.send(request[:at])
            await asyncio.sleep(0.01)
            assert status(await client.ask(request[at:])) == 200
        client.send(request + request)
        assert [status(await client.reply()) for _ in range(2)] == [200, 200]
    assert len(journal.events) == 8


@on_uvloop
async def test_who_sends_more_than_is_taken_gets_to_read_why_and_the_connection_ends(
    certificates: ServerCertificates, tls: dict[str, Any]
) -> None:
    head = f"POST /{recalled('ann').signed()} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n".encode()
    async with (
        serving(ingress_with(FakeJournal(True)), certificates=certificates) as server,
        server.connect(**tls) as client,
    ):
        client.send(head + b"x" * 900_000)
        assert status(await client.rest()) == 413


@on_uvloop
async def test_a_callback_is_handled_whose_client_ends_at_once(
    certificates: ServerCertificates, tls: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    journal = FakeJournal()
    async with serving(ingress_with(journal), certificates=certificates) as server:
        async with server.connect(**tls) as client:
            client.send(wire(recalled("ann")))
        await until(lambda: len(journal.events) == 1)
        journal.resolve(True)
    assert caplog.records == []


@on_uvloop
async def test_plain_http_is_told_to_use_tls_and_logged_once(
    certificates: ServerCertificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(ingress_with(FakeJournal(True)), certificates=certificates) as server:
        for _ in range(3):
            async with server.connect() as client:
                client.send(wire(recalled("ann")))
                reply = await client.rest()
                assert status(reply) == 400
                assert b"this port speaks TLS: call it by https://" in reply
    assert len(caplog.records) == 1
    assert "BRIDGE_TLS_CERTIFICATE is set" in caplog.text


@on_uvloop
async def test_a_handshake_that_fails_is_told_with_its_reason_and_harms_nobody(
    certificates: ServerCertificates, tls: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(ingress_with(FakeJournal(True)), certificates=certificates) as server:
        async with server.connect() as client:
            client.send(b"\x16\x03\x01\x00\x05hello")
            await client.rest()
        async with server.connect() as client:
            client.send((await hello(tls))[:50])
            client.vanish()
        async with server.connect(**tls) as client:
            assert status(await client.ask(wire(recalled("ann")))) == 200
        await until(lambda: not len(server.http.table))
    assert "127.0.0.1 was closed: its TLS handshake failed" in caplog.text


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated", "ignore:ssl.TLSVersion.TLSv1 is deprecated")
@on_uvloop
async def test_nothing_older_than_tls_1_2_is_spoken(
    certificates: ServerCertificates, tls: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    context = tls["ssl"]
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with serving(ingress_with(FakeJournal(True)), certificates=certificates) as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
            context.minimum_version = version
            context.maximum_version = version
            async with server.connect(**tls) as client:
                assert status(await client.ask(wire(recalled("ann")))) == 200
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with server.connect(**tls):
                pass
        await until(lambda: "TLS 1.2 and 1.3 are spoken here" in caplog.text)


@pytest.mark.parametrize("begins", ["with nothing", "a handshake", "HTTP after the handshake"])
@on_uvloop
async def test_handshake_and_head_together_have_the_time_of_a_head(
    certificates: ServerCertificates, tls: dict[str, Any], caplog: pytest.LogCaptureFixture, begins: str
) -> None:
    limits: dict[str, Any] = {"certificates": certificates, "head_timeout_s": 0.5}
    async with serving(ingress_with(FakeJournal(True)), **limits) as server:
        begun = asyncio.get_running_loop().time()
        if begins == "HTTP after the handshake":
            async with server.connect(**tls) as client:
                (connection,) = server.http.table
                assert connection.deadline <= begun + 0.6
                client.send(b"POST / HT")
                assert status(await client.rest()) == 408
        else:
            async with server.connect() as client:
                client.send((await hello(tls))[:60] if begins == "a handshake" else b"")
                assert await client.ends()
    assert ("TLS handshake did not arrive in time" in caplog.text) == (begins == "a handshake")


@on_uvloop
async def test_connections_that_do_not_finish_their_handshake_give_way(
    certificates: ServerCertificates, tls: dict[str, Any]
) -> None:
    first = (await hello(tls))[:60]
    async with (
        serving(ingress_with(FakeJournal(True)), certificates=certificates, max_connections=3) as server,
        AsyncExitStack() as stack,
    ):
        idle: list[Client] = []
        for number in range(9):
            client = await stack.enter_async_context(server.connect())
            client.send(first if number % 2 else b"")
            idle.append(client)
        await until(lambda: len(server.http.table) == 3)
        async with server.connect(**tls) as client:
            assert len(server.http.table) <= 3
            assert status(await client.ask(wire(recalled("ann")))) == 200
            for _ in range(5):
                await stack.enter_async_context(server.connect())
            await until(lambda: len(server.http.table) == 3)
            assert status(await client.ask(wire(recalled("ann")))) == 200
        for client in idle[:6]:
            assert await client.ends()


@on_uvloop
async def test_a_stop_waits_for_no_handshake(certificates: ServerCertificates, tls: dict[str, Any]) -> None:
    async with (
        serving(ingress_with(FakeJournal(True)), certificates=certificates) as server,
        server.connect() as silent,
        server.connect() as slow,
        server.connect(**tls) as client,
    ):
        slow.send((await hello(tls))[:60])
        assert status(await client.ask(wire(recalled("ann")))) == 200
        server.stop_accepting()
        await server.http.drain(0.1)
        await until(lambda: not len(server.http.table))
        assert await silent.ends()
        assert await slow.ends()


@on_uvloop
async def test_a_new_certificate_holds_for_new_connections_and_ends_no_other(
    folder: CertificateFolder, certificates: ServerCertificates, tls: dict[str, Any]
) -> None:
    async with (
        serving(ingress_with(FakeJournal(True)), certificates=certificates) as server,
        server.connect(**tls) as client,
    ):
        folder.write("a", "new.test")
        assert server.http.renew_certificates()
        assert server.http.renew_certificates()
        with pytest.raises(ssl.SSLCertVerificationError, match=HOST):
            async with server.connect(**tls):
                pass
        async with server.connect(ssl=tls["ssl"], server_hostname="new.test") as other:
            assert status(await other.ask(wire(recalled("ann")))) == 200
        assert status(await client.ask(wire(recalled("ann")))) == 200


# -- The PROXY protocol ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [V1, of("203.0.113.7"), of("::ffff:203.0.113.7")], ids=["v1", "v2", "v2, mapped"])
@on_uvloop
async def test_the_address_in_the_header_counts_however_it_is_cut(header: bytes) -> None:
    journal = FakeJournal(True)
    async with serving(ingress_with(journal, **ALLOWED), senders=senders()) as server:
        whole = header + wire(recalled("ann"))
        for at in (0, 1, 11, 12, 13, 16, 20, len(header) - 1, len(header), len(header) + 5):
            async with server.connect() as client:
                client.send(whole[:at])
                await asyncio.sleep(0.01)
                assert status(await client.ask(whole[at:])) == 200
                assert status(await client.ask(wire(recalled("ann")))) == 200
    assert len(journal.events) == 20


@on_uvloop
async def test_an_address_in_the_header_that_may_not_post_is_refused_by_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limited = ingress_with(FakeJournal(True), **ALLOWED)
    async with serving(limited, senders=senders()) as server, server.connect() as client:
        assert status(await client.ask(of("198.51.100.9") + wire(recalled("ann")))) == 403
    assert "198.51.100.9" in caplog.text


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", v2(b"", command=0x20, family=0), v2(bytes(216), family=0x31)],
    ids=["v1 unknown", "v2 local", "v2 unix"],
)
@on_uvloop
async def test_a_header_without_an_address_leaves_that_of_the_front(header: bytes) -> None:
    async with serving(ingress_with(FakeJournal(True), **ALLOWED), senders=senders()) as server:
        async with server.connect() as client:
            assert status(await client.ask(header + wire(recalled("ann")))) == 403
        async with server.connect() as client:
            forwarded = wire(recalled("ann"), None, "X-Forwarded-For: 203.0.113.7")
            assert status(await client.ask(header + forwarded)) == 200


@on_uvloop
async def test_who_is_no_front_of_ours_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    open_to_us = {"allowed_networks": ["127.0.0.1/32"]}
    async with serving(ingress_with(FakeJournal(True), **open_to_us), senders=senders("10.0.0.0/8")) as server:
        for header in (V1, of("203.0.113.7")):
            async with server.connect() as client:
                client.send(header + wire(recalled("ann")))
                assert status(await client.rest()) == 400
        async with server.connect() as client:
            assert status(await client.ask(wire(recalled("ann")))) == 200
    assert "is taken of BRIDGE_TRUSTED_PROXIES alone" in caplog.text


@pytest.mark.parametrize("begins", ["HTTP", "a wrong header", "TLS"])
@on_uvloop
async def test_a_front_of_ours_that_sends_no_header_is_refused_and_named(
    begins: str, certificates: ServerCertificates, tls: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = {
        "HTTP": wire(recalled("ann")),
        "a wrong header": b"PROXY TCP4 203.0.113.7\r\n" + wire(recalled("ann")),
        "TLS": await hello(tls),
    }[begins]
    journal = FakeJournal(True)
    limits: dict[str, Any] = {"senders": senders(), "certificates": certificates}
    async with serving(ingress_with(journal), **limits) as server, server.connect() as client:
        client.send(first)
        assert status(await client.rest()) == 400
    assert "127.0.0.1 is in BRIDGE_TRUSTED_PROXIES" in caplog.text
    assert "BRIDGE_PROXY_PROTOCOL=off" in caplog.text
    assert len(caplog.records) == 1
    assert journal.records == []


@on_uvloop
async def test_a_header_that_does_not_end_has_the_time_of_a_head_and_a_health_check_is_nothing_to_tell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(ingress_with(FakeJournal(True)), senders=senders(), head_timeout_s=0.3) as server:
        async with server.connect():
            pass
        await until(lambda: not len(server.http.table))
        assert caplog.records == []
        async with server.connect() as client:
            client.send(V1[:20])
            assert await client.ends()
        async with server.connect() as client:
            client.send(of("203.0.113.7")[:20])
            client.end()
            assert await client.ends()
    assert "its PROXY header did not arrive in time (BRIDGE_HEAD_TIMEOUT_S)" in caplog.text
    assert "it ended in the middle of its PROXY header" in caplog.text


@pytest.mark.parametrize("header", [V1, of("203.0.113.7", b"\x04\x01\x00" + bytes(256))], ids=["v1", "v2"])
@on_uvloop
async def test_tls_may_begin_behind_the_header_in_the_same_piece_or_later(
    header: bytes, certificates: ServerCertificates, tls: dict[str, Any]
) -> None:
    journal = FakeJournal(True)
    async with serving(ingress_with(journal, **ALLOWED), senders=senders(), certificates=certificates) as server:
        for cuts in ([], [len(header)], [5], [len(header) + 1], [len(header) + 100], [3, len(header) - 1]):
            async with server.connect() as client:
                speaking = TlsOver(client, tls)
                await speaking.handshake(header, cuts)
                assert status(await speaking.ask(wire(sample("C2C.CallbackAfterMsgWithDraw.v1")))) == 200
    assert len(journal.events) == 6
