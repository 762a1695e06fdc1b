"""Nobody can tell whether a callback came in one piece: the reply is the same, byte for byte."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import pytest

from bridge.http.connection import HttpConnection
from bridge.http.gathering import Gathering, WholeRequest
from bridge.normalize.normalizer import Normalizer
from bridge.query import Query
from tests.support.callbacks import RECALLED, PostedCallback, recalled, sample
from tests.support.http import LocalServer, serving, wire
from tests.support.ingress_parts import FakeJournal, ingress_with

BATCH = PostedCallback("Push.OfflinePush", orjson.dumps({"Events": [{"To_Account": name} for name in "abc"]}))
MakeJournal = Callable[[], FakeJournal]


def durable() -> FakeJournal:
    return FakeJournal(True)


def too_slow() -> FakeJournal:
    return FakeJournal(False)


def full() -> FakeJournal:
    return FakeJournal(room=0)


class Case(NamedTuple):
    """A callback, what it meets, and the status of the reply."""

    name: str
    status: int
    callback: PostedCallback
    journal: MakeJournal = durable
    query: Mapping[str, Any] = MappingProxyType({})
    """What is wrong with the URL."""
    settings: Mapping[str, Any] = MappingProxyType({})


BEFORE = sample("C2C.CallbackBeforeSendMsg.v1")
AN_HOUR_AGO = int(time.time()) - 3600
REFUSING = {"decision_urls": {BEFORE.command: "http://127.0.0.1:9"}, "decision_on_failure": "refuse"}
CASES = [
    Case("accepted", 200, recalled("ann", unread=1)),
    Case("old webhook", 200, PostedCallback("call_end", b"{}")),
    Case("unknown command", 200, PostedCallback("New.Thing", b'{"a":1}')),
    Case("batch", 200, BATCH),
    Case("batch too late", 503, BATCH, too_slow),
    Case("dead letter", 200, PostedCallback(RECALLED, b"{")),
    Case("allowed", 200, BEFORE),
    Case("allowed, not kept", 200, BEFORE, full),
    Case("allowed each", 200, sample("Sns.CallbackPrevFriendAdd"), too_slow),
    Case("decided", 200, BEFORE, settings=REFUSING),
    Case("unsigned", 403, recalled("ann"), query={"token": None}),
    Case("forged", 403, recalled("ann"), query={"token": "other"}),
    Case("unknown app", 403, recalled("ann"), query={"app_id": "1"}),
    Case("stale", 403, recalled("ann"), query={"request_time": AN_HOUR_AGO}),
    Case("stale, not kept", 403, recalled("ann"), full, query={"request_time": AN_HOUR_AGO}),
    Case("expired", 403, recalled("ann"), query={"request_time": 1}),
    Case("address", 403, recalled("ann"), settings={"allowed_networks": ["192.0.2.0/24"]}),
    Case("too large", 413, PostedCallback(RECALLED, b"x" * 2000), settings={"max_body_bytes": 1024}),
    Case("too late", 503, recalled("ann"), too_slow),
    Case("full", 503, recalled("ann"), full),
    Case("fault", 500, recalled("fault")),
]


@pytest.mark.parametrize("closing", [False, True], ids=["open", "closing"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_reply_is_the_same_in_one_piece_and_in_pieces(
    case: Case, closing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(b"fault", monkeypatch)
    ways = ways_taken(monkeypatch)
    request = wire(case.callback, case.callback.signed(**case.query))
    journals, replies = [], []
    for send in (whole, behind_its_head):
        journal = case.journal()
        ingress = ingress_with(journal, **case.settings)
        async with serving(ingress) as server:
            if closing:
                server.http.ask_to_close()
            replies.append(await send(server, request))
        assert ingress.in_flight == 0
        journals.append([(record.topic, record.key, record.headers[:1]) for record in journal.records])
    assert ways == ["whole", "head", "whole"] or (ways == ["whole", "head"] and case.status in {403, 413})
    assert int(replies[0].split()[1]) == case.status
    assert replies[0] == replies[1]
    assert journals[0] == journals[1]
    assert (b"\r\nConnection: close\r\n" in replies[0]) == (closing or 400 <= case.status <= 500)


@pytest.mark.parametrize("settings", [{}, REFUSING], ids=["nobody decides", "refused"])
async def test_a_body_that_is_too_large_for_us_is_answered_alike_where_the_platform_waits_for_that(
    settings: dict[str, Any],
) -> None:
    request = wire(PostedCallback(BEFORE.command, b"x" * 2000))
    replies = []
    for send in (whole, behind_its_head):
        async with serving(ingress_with(FakeJournal(True), max_body_bytes=1024, **settings)) as server:
            replies.append(await send(server, request))
    assert replies[0] == replies[1]
    assert replies[0].startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in replies[0]
    assert (b'"ErrorCode":1' in replies[0]) == bool(settings)


async def test_a_body_that_does_not_come_is_answered_where_the_platform_waits_for_that() -> None:
    ingress = ingress_with(FakeJournal(True))
    async with serving(ingress, body_timeout_s=0.1) as server, server.connect() as client:
        reply = await client.ask(wire(BEFORE)[:-1])
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert reply.endswith(b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}')
        assert await client.ends()
    assert ingress.in_flight == 0


async def whole(server: LocalServer, request: bytes) -> bytes:
    async with server.connect() as client:
        return undated(await client.ask(request))


async def behind_its_head(server: LocalServer, request: bytes) -> bytes:
    """As a client sends it that waits for `100 Continue`, or gets its refusal without having sent the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    async with server.connect() as client:
        first = await client.ask(head + b"\r\nExpect: 100-continue\r\n\r\n")
        if first.startswith(b"HTTP/1.1 100"):
            return undated(await client.ask(body))
        client.send(body)
        return undated(first)


def undated(reply: bytes) -> bytes:
    """The reply without the time, which may have gone on."""
    dated, count = re.subn(rb"\r\nDate: [^\r]+", b"\r\nDate: now", reply)
    assert count == 1
    return dated


def ways_taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Filled with what the ingress is handed: a head without its body, or a whole request."""
    ways: list[str] = []
    begin, add = HttpConnection._begin_body, Gathering.add

    def note_head(self: HttpConnection, *arguments: Any) -> None:
        ways.append("head")
        begin(self, *arguments)

    def note_whole(self: Gathering, request: WholeRequest, size: int) -> None:
        ways.append("whole")
        add(self, request, size)

    monkeypatch.setattr(HttpConnection, "_begin_body", note_head)
    monkeypatch.setattr(Gathering, "add", note_whole)
    return ways


def fail_on(mark: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the normalizer fail on bodies with this in them."""
    normalize = Normalizer.usual

    def fail(self: Normalizer, query: Query, body: bytes, *others: Any) -> Any:
        if mark in body:
            raise RuntimeError("a bug")
        return normalize(self, query, body, *others)

    monkeypatch.setattr(Normalizer, "usual", fail)


async def test_a_body_that_is_too_large_by_its_head_is_refused_unread() -> None:
    async with serving(ingress_with(FakeJournal(True))) as server, server.connect() as client:
        head, _, body = wire(PostedCallback(RECALLED, b" " * 1_000_000)).partition(b"\r\n\r\n")
        assert (await client.ask(head + b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
        client.send(body)
