"""What a client may send, wait for, or keep back: whoever is not authentic takes next to nothing."""

from __future__ import annotations

import asyncio
import gzip
import logging
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest

from bridge.http.connection import LINGER_BYTES
from tests.support.callbacks import RECALLED, PostedCallback, recalled, sample, signed_query
from tests.support.http import Client, LocalServer, serving, until, wire
from tests.support.ingress_parts import FakeJournal, ingress_with

FORGED = signed_query("1400000000", "other", RECALLED)
JSON_FORM = b'{"ActionStatus":"FAIL","ErrorInfo":"'


def head(query: str, *fields: str, method: str = "POST") -> bytes:
    """The head of a request, and the empty line behind it."""
    return "\r\n".join([f"{method} /{query} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def statuses(replies: bytes) -> list[int]:
    """The status of each reply."""
    return [int(part[:3]) for part in replies.split(b"HTTP/1.1 ")[1:]]


async def last_reply(client: Client, data: bytes, status: int) -> bytes:
    """Send this; all that comes until the end, which is one reply that says that it is the last, in our form."""
    client.send(data)
    reply = await client.rest()
    assert statuses(reply) == [status]
    assert b"\r\nConnection: close\r\n" in reply
    assert b"\r\nContent-Type: application/json\r\n" in reply
    assert b"\r\nServer:" not in reply
    return reply


def unused(server: LocalServer) -> bool:
    """Whether no connection is open any more."""
    return len(server.http.table) == 0


BOMB = gzip.compress(b" " * 50_000_000)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        (["Content-Length: 90000"], "forged 403"),
        (["Transfer-Encoding: chunked"], "forged 403"),
        (["Content-Encoding: gzip", f"Content-Length: {len(BOMB)}"], "forged 403"),
        (["Content-Length: 90000", "Expect: 100-continue"], "forged 403"),
        (["Content-Length: 90000"], "PUT 405"),
        (["Content-Length: 100001"], "signed 413"),
        (["Content-Length: 18446744073709551615"], "signed 413"),
        (["Content-Length: 100001", "Expect: 100-continue"], "signed 413"),
        (["Content-Length: 90000", "Expect: a miracle"], "signed 417"),
        (["Content-Length: 90000", "Content-Encoding: br"], "signed 415"),
        (["Content-Length: 90000", "Content-Encoding: gzip", "Content-Encoding: gzip"], "signed 415"),
        (["Content-Length: 90000", "Content-Encoding: identity, deflate, gzip"], "signed 415"),
        (["Content-Length: 90000", "Expect: 100-continue", "Expect: a miracle"], "signed 417"),
        (["Transfer-Encoding: gzip, chunked"], "signed 501"),
        (["Transfer-Encoding: gzip"], "signed 501"),
    ],
)
async def test_nothing_is_read_behind_the_head_of_a_refused_request(fields: list[str], refusal: str) -> None:
    what, status = refusal.split(maxsplit=1)[0], int(refusal.split()[1])
    query = FORGED if what == "forged" else recalled("ann").signed()
    request_head = head(query, *fields, method="PUT" if what == "PUT" else "POST")
    journal = FakeJournal(True)
    ingress = ingress_with(journal)
    async with serving(ingress) as server, server.connect() as client, server.connect() as hasty:
        reply = await last_reply(client, request_head, status)
        assert JSON_FORM in reply
        client.send(wire(recalled("bob")))
        await last_reply(hasty, request_head + wire(recalled("bob")), status)
    assert journal.records == []
    assert ingress.in_flight == 0


async def test_a_refused_body_is_thrown_away_until_the_client_has_its_reply_and_not_for_long() -> None:
    async with serving(ingress_with(FakeJournal(True))) as server, server.connect() as client:
        client.send(head(FORGED, "Content-Length: 500000"))
        client.send(b"x" * 500_000)
        assert (await client.reply()).startswith(b"HTTP/1.1 403")
        with pytest.raises(ConnectionError):
            await client.send_until_reset(b"x" * LINGER_BYTES)
        await until(lambda: unused(server))


async def test_a_request_without_a_body_is_told_that_it_needs_one() -> None:
    async with serving(ingress_with(FakeJournal(True))) as server, server.connect() as client:
        await last_reply(client, head(recalled("ann").signed()), 411)


async def test_the_reply_to_head_has_no_body() -> None:
    async with serving(ingress_with(FakeJournal(True))) as server, server.connect() as client:
        reply = await last_reply(client, head(recalled("ann").signed(), method="HEAD"), 405)
    assert reply.endswith(b"\r\n\r\n")
    assert b"\r\nAllow: POST\r\n" in reply


@pytest.mark.parametrize("behind", [b"GARBAGE\r\n\r\n", b"\x00", b"POST / HTTP/9.9\r\n\r\n", head("", "A" * 40_000)])
async def test_what_was_whole_before_garbage_is_taken_and_answered_first(behind: bytes) -> None:
    journal = FakeJournal(True)
    async with serving(ingress_with(journal)) as server, server.connect() as client:
        client.send(wire(recalled("ann")) + wire(recalled("bob")) + behind)
        replies = await client.rest()
    assert statuses(replies) in ([200, 200, 400], [200, 200, 431])
    assert replies.count(b"Connection: close") == 1
    assert len(journal.records) == 2


async def test_behind_a_request_that_is_the_last_one_nothing_is_answered() -> None:
    journal = FakeJournal(True)
    last = wire(recalled("ann"), None, "Connection: close")
    async with serving(ingress_with(journal)) as server:
        for behind in (b"", b"GARBAGE\r\n\r\n", wire(recalled("bob"))):
            async with server.connect() as client:
                client.send(last + behind)
                assert statuses(await client.rest()) == [200]
    assert len(journal.records) == 3


async def test_a_pipeline_ends_with_what_is_refused() -> None:
    journal = FakeJournal(True)
    async with serving(ingress_with(journal)) as server, server.connect() as client:
        client.send(wire(recalled("ann")) + wire(recalled("bob"), FORGED) + wire(recalled("cid")))
        assert statuses(await client.rest()) == [200, 403]
    assert len(journal.records) == 1


async def test_hundreds_of_requests_in_one_go_are_answered_one_by_one() -> None:
    journal = FakeJournal(True)
    callback = recalled("ann")
    chunked = head(callback.signed(), "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (
        len(callback.body),
        callback.body,
    )
    async with serving(ingress_with(journal), gather_s=0) as server, server.connect() as client:
        client.send((wire(callback) + chunked) * 200)
        client.end()
        assert statuses(await client.rest()) == [200] * 400
    assert len(journal.records) == 400


async def test_a_client_that_sends_nothing_more_gets_its_replies() -> None:
    journal = FakeJournal()
    async with serving(ingress_with(journal)) as server, server.connect() as client, server.connect() as in_pieces:
        client.send(wire(recalled("ann")) + wire(recalled("bob")))
        client.end()
        cut = wire(recalled("cid"))
        in_pieces.send(cut[:-1])
        await asyncio.sleep(0)
        in_pieces.send(cut[-1:])
        in_pieces.end()
        for number in (2, 3):
            await until(lambda expected=number: len(journal.records) == expected)  # type: ignore[misc]
            journal.resolve(True)
        assert statuses(await client.rest()) == [200, 200]
        assert statuses(await in_pieces.rest()) == [200]


@pytest.mark.parametrize("broken", ["head", "body", "chunk", "trailer"])
async def test_a_request_that_breaks_off_is_answered_400(broken: str) -> None:
    chunked = head(recalled("ann").signed(), "Transfer-Encoding: chunked")
    sent = {
        "head": b"POST / HT",
        "body": wire(recalled("ann"))[:-1],
        "chunk": chunked + b"5\r\nhel",
        "trailer": chunked + b"0\r\n",
    }[broken]
    ingress = ingress_with(FakeJournal(True))
    async with serving(ingress) as server, server.connect() as client:
        client.send(sent)
        client.end()
        reply = await client.rest()
        assert statuses(reply) == [400]
        assert JSON_FORM in reply
    assert ingress.in_flight == 0


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("begun", [b"P", b"POST / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_end_is_answered_408(is_first: bool, begun: bytes) -> None:
    before = b"" if is_first else wire(recalled("ann"))
    async with serving(ingress_with(FakeJournal(True)), head_timeout_s=0.1) as server, server.connect() as client:
        client.send(before + begun)
        assert statuses(await client.rest()) == ([200, 408] if before else [408])


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_head_that_grows_and_grows_is_answered_431(is_first: bool) -> None:
    before = b"" if is_first else wire(recalled("ann"))
    async with serving(ingress_with(FakeJournal(True))) as server, server.connect() as client:
        client.send(before + b"POST / HTTP/1.1\r\nHost: x\r\n" + b"A: %b\r\n" % (b"a" * 1000) * 40)
        assert statuses(await client.rest()) == ([200, 431] if before else [431])


async def test_who_has_proved_nothing_is_given_little_time_and_who_has_much() -> None:
    async with serving(ingress_with(FakeJournal(True)), head_timeout_s=2) as server, AsyncExitStack() as stack:
        silent, proven = [await stack.enter_async_context(server.connect()) for _ in range(2)]
        assert statuses(await proven.ask(wire(recalled("ann")))) == [200]
        assert await silent.ends()
        assert statuses(await proven.ask(wire(recalled("ann")))) == [200]


async def test_a_body_that_does_not_end_is_answered_408() -> None:
    ingress = ingress_with(FakeJournal(True))
    async with serving(ingress, body_timeout_s=0.05) as server, server.connect() as client:
        await last_reply(client, wire(recalled("ann"))[:-1], 408)
    assert ingress.in_flight == 0


async def test_bodies_without_an_end_displace_each_other_and_no_callback() -> None:
    limits: dict[str, Any] = {"bodies_max_bytes": 1_000_000, "max_connections": 99}
    ingress = ingress_with(FakeJournal(True))
    begun = head(recalled("ann").signed(), "Content-Length: 100000") + b"x" * 90_000
    async with serving(ingress, **limits) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(server.connect()) for _ in range(20)]
        for client in clients:
            client.send(begun)
        for client in clients[:15]:
            assert statuses(await client.rest()) == [503]
        assert server.http.body_bytes == 450_000
        async with server.connect() as large:
            assert statuses(await large.ask(wire(PostedCallback(RECALLED, b" " * 99_000)))) == [200]
        async with server.connect() as small:
            assert statuses(await small.ask(wire(recalled("ann")))) == [200]
    assert ingress.in_flight == 0


async def test_held_connections_keep_no_callback_out() -> None:
    async with serving(ingress_with(FakeJournal(True)), max_connections=5) as server, AsyncExitStack() as stack:
        for number in range(30):
            held = await stack.enter_async_context(server.connect())
            held.send(b"POST / HTTP/1.1\r\n" if number % 2 else b"")
        async with server.connect() as client:
            assert statuses(await client.ask(wire(recalled("ann")))) == [200]
            for _ in range(30):
                await stack.enter_async_context(server.connect())
            assert statuses(await client.ask(wire(recalled("ann")))) == [200], "a proven one stays"
        assert len(server.http.table) <= 5


async def test_who_does_not_read_his_replies_is_not_read_himself() -> None:
    journal = FakeJournal(True)
    friends = [{"To_Account": f"friend-{number}"} for number in range(3000)]
    asked = sample("Sns.CallbackPrevFriendAdd")
    asked = PostedCallback(asked.command, orjson.dumps({**asked.json, "FriendItem": friends}))
    limits: dict[str, Any] = {"gather_s": 0, "head_timeout_s": 0.3}
    async with serving(ingress_with(journal), **limits) as server, server.connect() as client:
        client.stop_reading()
        client.send(wire(asked) * 300)
        await until(lambda: len(journal.records) > 2 and unused(server))
        assert len(journal.records) < 200


async def test_a_client_that_vanishes_at_any_time_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    whole = wire(recalled("ann"))
    journal = FakeJournal()
    ingress = ingress_with(journal)
    with caplog.at_level(logging.ERROR):
        async with serving(ingress) as server:
            for sent in (b"", b"PO", whole[:-1], whole, whole * 2, wire(recalled("ann"), FORGED)):
                async with server.connect() as client:
                    client.send(sent)
                    await asyncio.sleep(0.01)
                    client.vanish()
            for _ in range(3):
                await asyncio.sleep(0.01)
                journal.resolve(True)
            await until(lambda: unused(server) and ingress.in_flight == 0)
    assert caplog.records == []


async def test_compressed_bodies_are_unpacked_once_they_are_authentic() -> None:
    journal = FakeJournal(True)
    body = recalled("ann", unread=3).body
    packed = gzip.compress(body)
    callback = PostedCallback(RECALLED, packed)
    async with serving(ingress_with(journal)) as server:
        for parts in ([packed], [packed[:5], packed[5:]]):
            async with server.connect() as client:
                begun = head(callback.signed(), "Content-Encoding: gzip", f"Content-Length: {len(packed)}")
                client.send(begun + parts[0])
                await asyncio.sleep(0.01)
                assert statuses(await client.ask(b"".join(parts[1:]))) == [200]
        for broken, status in ((BOMB, 413), (packed[:-1], 400), (b"{}", 400)):
            async with server.connect() as client:
                begun = head(callback.signed(), "Content-Encoding: gzip", f"Content-Length: {len(broken)}")
                await last_reply(client, begun + broken, status)
    assert [event["data"]["to_account"] for event in journal.events] == ["ann", "ann"]


async def test_a_flood_of_garbage_is_logged_in_a_few_lines_that_hold_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    packed = gzip.compress(recalled("ann").body)[:-1]
    broken = head(recalled("ann").signed(), "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed
    async with serving(ingress_with(FakeJournal(True))) as server:
        for sent in (broken, b"S3CRET\x1b[31m\r\n\r\n", b"\x16\x03\x01S3CRET", b"POST /S3CRET HTTP/9\r\n\r\n") * 10:
            async with server.connect() as client:
                await last_reply(client, sent, 400)
    assert 0 < len(caplog.records) < 20
    assert "TLS" in caplog.text
    assert "S3CRET" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_heads_that_do_not_arrive_as_a_whole_take_no_more_memory_than_they_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.http.server.MAX_ARRIVING_HEADS_BYTES", 5_000)
    callback = recalled("ann")
    whole = wire(callback, None, f"X: {'x' * 2_000}")
    begun, behind = whole[:2_000], whole[2_000:]
    async with serving(ingress_with(FakeJournal(True))) as server, AsyncExitStack() as stack:
        heads = server.http._context.heads
        clients = [await stack.enter_async_context(server.connect()) for _ in range(4)]
        for number, client in enumerate(clients):
            client.send(begun)
            await until(lambda number=number: heads.used == 2_000 * min(2, number + 1))  # type: ignore[misc]
        for client in clients[:2]:  # The oldest two gave way.
            assert statuses(await client.rest()) == [408]
        for client in clients[2:]:
            assert statuses(await client.ask(behind)) == [200]
            client.send(begun)
            client.vanish()
        await until(lambda: heads.used == 0)
        alone = await stack.enter_async_context(server.connect())
        await last_reply(alone, begun + b"x" * 3_001, 408)
        assert heads.used == 0


async def test_a_head_on_a_connection_that_closes_gives_way_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.http.server.MAX_ARRIVING_HEADS_BYTES", 5_000)
    async with (
        serving(ingress_with(FakeJournal(True))) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        heads = server.http._context.heads
        first.send(b"POST /" + b"x" * 2_994)
        await until(lambda: heads.used == 3_000)
        (connection,) = heads._arriving
        connection.finish()  # type: ignore[attr-defined]
        connection.give_up()
        assert heads.used == 0
        assert await first.ends()
        assert statuses(await second.ask(wire(recalled("ann")))) == [200]
