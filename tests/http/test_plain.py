"""The short way of a plain request: it takes the usual ones, and none that the long way would not read as the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
from collections.abc import Sequence
from unittest import mock

import pytest

from bridge.http.head import MAX_FIELDS, MAX_HEAD_BYTES, Head, HeadFields, HeadReader
from bridge.http.plain import MAX_FIELDS_BYTES, ONE_PIECE_BYTES, PlainReader
from bridge.ingress.refusals import RefusedError
from bridge.query import query_of
from tests.support.callbacks import recalled
from tests.support.http import serving, wire
from tests.support.ingress_parts import FakeJournal, ingress_with
from tests.support.queries import Told, told, told_by_head

WhatIsRead = tuple[tuple[Told, HeadFields, int | None], bytes]
BODY = b'{"To_Account":"ann"}'
LENGTH = f"Content-Length: {len(BODY)}".encode()
USUAL = (
    b"Host: x",
    b"User-Agent: platform/1.0 (like Gecko)",
    b"Accept: */*",
    b"Accept-Encoding: gzip, deflate",
    b"Content-Type: application/json",
    LENGTH,
    b"Connection: keep-alive",
    b"X-Forwarded-For: 203.0.113.7, 10.0.0.1 ",
    b"X-Forwarded-Proto: https",
    b"X-Real-IP: 203.0.113.7",
    b"Traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
)
ODD = (
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Content-Encoding: gzip",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Connection: close",
    b"Connection: upgrade",
    b"Connection: close, keep-alive",
    b"Proxy-Connection: close",
    b"Sec-WebSocket-Key1: x",
    b"Host: y",
    b"host:",
    LENGTH,
    b"content-length: 0",
    b"Content-Length: +20",
    b"Content-Length: 2 0",
    b"Content-Length: 0x14",
    b"Content-Length: 20, 20",
    b"Content-Length : 20",
    b"Content-Length: 18446744073709551636",
    b"Content_Length: 5",
    b"X-Forwarded-For: 192.0.2.1",
    b"x-forwarded-for: \xff\xfe",
    b"Traceparent:",
    b"Tracestate: a=b",
    b"tracestate:",
    b"A: b\r\n c",
    b"A: b\r\n\tc: d",
    b"A: b\x00c",
    b"A: b\rc",
    b"A: b\nContent-Length: 3",
    b"A:\t\tb\t",
    b": b",
    b" A: b",
    b"A b",
    b"A",
    b"",
)
BEGINNINGS = (
    b"POST /?a=b HTTP/1.1",
    b"POST /callback?ClientIP=203.0.113.7&x=%20 HTTP/1.1",
    b"POST /callback?a=b&ClientIP=203.0.113.7&OptPlatform=iOS HTTP/1.1",
    b"POST /callback?a=b&ClientIP=2001:db8::7&OptPlatform=iOS HTTP/1.1",
    b"POST /callback?a=b&ClientIP=&OptPlatform=iOS HTTP/1.1",
    b"POST /callback?a=b&ClientIP=7&ClientIP=8&OptPlatform=iOS HTTP/1.1",
    b"POST /callback?a=b&ClientIP=&ClientIP=8&OptPlatform=iOS HTTP/1.1",
    b"POST //x/../y?#z HTTP/1.1",
    b"POST http://callbacks.example/?a=b HTTP/1.1",
    b"POST /\xc3\xa4?\xff HTTP/1.1",
    b"POST * HTTP/1.1",
    b"POST /? HTTP/1.0",
    b"POST /? HTTP/2.0",
    b"POST /?",
    b"POST  /? HTTP/1.1",
    b"POST /?a b HTTP/1.1",
    b"POST /? HTTP/1.1 ",
    b"PUT /? HTTP/1.1",
    b"GET /? HTTP/1.1",
    b"CONNECT x:443 HTTP/1.1",
    b"\r\nPOST /? HTTP/1.1",
)
BYTES = (b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b"\xff", b"\x7f", b"0", b"9", b"+", b",", b"a")


def request(fields: Sequence[bytes] = USUAL, beginning: bytes = b"POST /?a=b HTTP/1.1", body: bytes = BODY) -> bytes:
    """The bytes of a request."""
    return b"\r\n".join([beginning, *fields, b"", body])


def any_request(chance: random.Random) -> bytes:
    """A request that is plain, or not quite, or not at all."""
    fields = [USUAL[0], LENGTH, *chance.sample(USUAL[6:], chance.randint(0, 5))]
    chance.shuffle(fields)
    for _ in range(chance.choice((0, 0, 1, 2))):
        fields.insert(chance.randint(0, len(fields)), chance.choice(ODD))
    data = request(fields, chance.choice((*BEGINNINGS[:3], chance.choice(BEGINNINGS))))
    return mutated(data, chance, chance.choice((0, 0, 0, 1, 2)))


def mutated(data: bytes, chance: random.Random, times: int = 1) -> bytes:
    """The same with some bytes changed, left out, put in or behind it."""
    for _ in range(times):
        at, length = chance.randrange(len(data)), chance.choice((0, 0, 1, 2))
        data = data[:at] + chance.choice((*BYTES, b"")) + data[at + length :]
    return data + chance.choice((b"", b"", b"", b"", b"\r\n", b"POST", request(), b"\r\n\r\n" + BODY))


class ShortWay:
    """The short way, as a process takes it: it remembers the head of the request before."""

    def __init__(self) -> None:
        self.reader = PlainReader()

    def read(self, data: bytes) -> WhatIsRead | None:
        """Head and body, or None, whatever came before."""
        found = [reader.read(data) for reader in (self.reader, PlainReader(), self.reader)]
        said = [one and (told(one[0]), *one[1:]) for one in found]
        assert said[0] == said[1] == said[2], "what is read depends on the request before"
        if found[0] is None:
            return None
        query, fields, body = found[0]
        return told_by_head(Head(query, fields, len(body))), body


read_short = ShortWay().read


def read_long(data: bytes) -> WhatIsRead | None:
    """Head and body of what the long way takes for a request, and nothing more; None for anything else."""
    try:
        head, at = HeadReader().read(data)
    except RefusedError:
        return None
    if head is None or head.size != len(data) - at:
        return None
    if head.fields.refusal or head.fields.is_chunked or head.fields.coding:
        return None
    return told_by_head(head), data[at:]


def test_whatever_it_reads_the_long_way_reads_as_the_same() -> None:
    chance = random.Random(1)
    read = refused = 0
    for number in range(30_000):
        data = any_request(chance)
        plain, long = read_short(data), read_long(data)
        if plain is None:
            refused += long is None
        else:
            assert plain == long, f"request {number}: {data!r}"
            read += 1
            data = mutated(data, chance)  # With the head that was remembered just now.
            plain = read_short(data)
            assert plain is None or plain == read_long(data), f"request {number}: {data!r}"
    assert read > 3_000
    assert refused > 3_000


def test_no_byte_of_a_target_is_read_otherwise_than_the_long_way_does() -> None:
    for place in (b"/%b?a=b", b"/?a=b%b&ClientIP=1&c=d", b"/?a=b&ClientIP=%b&c=d", b"/?a=b&ClientIP=1&c=%bd", b"/%b"):
        for byte in range(256):
            data = request(beginning=b"POST " + place % bytes([byte]) + b" HTTP/1.1")
            plain = read_short(data)
            assert plain is None or plain == read_long(data), data
            assert plain is not None or not chr(byte).isprintable() or byte in b" " or byte > 0x7E, data


@pytest.mark.parametrize("line", ODD)
def test_what_is_odd_is_left_to_the_long_way(line: bytes) -> None:
    for fields in ((*USUAL, line), (line, *USUAL), (*(field for field in USUAL if field != LENGTH), line)):
        data = request(fields)
        plain = read_short(data)
        assert plain is None or plain == read_long(data)


@pytest.mark.parametrize("beginning", BEGINNINGS[8:])
def test_what_is_no_plain_post_is_left_to_the_long_way(beginning: bytes) -> None:
    assert read_short(request(beginning=beginning)) is None


def test_no_harmless_field_sends_a_callback_the_long_way() -> None:
    for chosen in itertools.chain.from_iterable(itertools.combinations(USUAL, size) for size in range(len(USUAL))):
        fields = (b"HOST: x", LENGTH.lower(), *(field for field in chosen if field not in {USUAL[0], LENGTH}))
        assert read_short(request(fields)) is not None
    found = read_short(request())
    fields_of_it = HeadFields(
        forwarded_for="203.0.113.7, 10.0.0.1",
        traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
    )
    assert found == ((told(query_of("POST /?a=b")), fields_of_it, len(BODY)), BODY)


def test_the_last_request_of_a_connection_may_be_plain_and_leaves_nothing_behind() -> None:
    for _ in range(3):
        last = read_short(request((b"Host: x", LENGTH, b"Connection: Close")))
        assert last is not None
        assert last[0][1].closes
        next_one = read_short(request())
        assert next_one is not None
        assert not next_one[0][1].closes


def test_limits_of_head_and_body_are_those_of_the_long_way() -> None:
    bare = len(request((b"Host: x", LENGTH), b"POST /?a= HTTP/1.1", b""))
    for size, is_plain in ((MAX_HEAD_BYTES - bare, True), (MAX_HEAD_BYTES - bare + 1, False)):
        data = request((b"Host: x", LENGTH), b"POST /?a=%b HTTP/1.1" % (b"b" * size))
        assert (read_short(data) is not None) is is_plain
        assert (read_long(data) is not None) is is_plain
    for number, is_plain in ((MAX_FIELDS, True), (MAX_FIELDS + 1, False)):
        data = request((b"Host: x", LENGTH, *(b"A%d: b" % name for name in range(number - 2))))
        assert (read_short(data) is not None) is is_plain
        assert (read_long(data) is not None) is is_plain
    for size, is_plain in ((0, True), (ONE_PIECE_BYTES, True), (ONE_PIECE_BYTES + 1, False)):
        data = request((b"Host: x", b"Content-Length: %d" % size), body=b"a" * size)
        assert (read_short(data) is not None) is is_plain


def test_what_a_connection_knows_of_the_request_before_has_a_limit() -> None:
    bare = len(request((b"Host: x", LENGTH, b"A: "), b" HTTP/1.1", b""))
    for size, is_plain in ((MAX_FIELDS_BYTES - bare, True), (MAX_FIELDS_BYTES - bare + 1, False)):
        assert (read_short(request((b"Host: x", LENGTH, b"A: " + b"a" * size))) is not None) is is_plain


def test_a_request_in_pieces_or_with_another_behind_it_is_left_to_the_long_way() -> None:
    data = request()
    for cut in range(len(data)):
        assert read_short(data[:cut]) is None
        assert read_short(data) is not None
    for behind in (b"\r\n", b"\0", b"POST", data):
        assert read_short(data + behind) is None
        assert read_short(data) is not None


@pytest.mark.parametrize(
    ("fields", "body"),
    [((*USUAL, b"Expect: 100-continue"), BODY), ((*USUAL, b"Host: y"), BODY), (USUAL, b""), (USUAL, BODY + BODY)],
)
def test_of_what_is_left_to_the_long_way_the_query_is_not_read_first(fields: Sequence[bytes], body: bytes) -> None:
    with mock.patch("bridge.http.plain.query_in", side_effect=AssertionError):
        assert read_short(request(fields, body=body)) is None


def test_a_head_of_thousands_of_fields_is_not_even_parsed() -> None:
    with mock.patch("bridge.http.plain._parsed", side_effect=AssertionError):
        assert read_short(request((*USUAL, *[b"A:"] * 7_000))) is None


# -- On a connection ---------------------------------------------------------------------------------------------------

SIGNED = recalled("ann", unread=1)


def any_callback(chance: random.Random) -> bytes:
    """An authentic callback, perhaps mutated."""
    fields = [b"Host: x", b"Content-Length: %d" % len(SIGNED.body), *chance.sample(USUAL[6:], 2)]
    if chance.random() < 0.3:
        fields.append(chance.choice(ODD))
    data = request(fields, f"POST /{SIGNED.signed()} HTTP/1.1".encode(), SIGNED.body)
    for _ in range(chance.choice((0, 0, 1))):
        at = chance.randrange(len(data))
        data = data[:at] + chance.choice(BYTES) + data[at + chance.choice((0, 1)) :]
    return data + chance.choice((b"", b"", data, b"\r\n", b"GARBAGE\r\n\r\n"))


async def outcomes(sent: Sequence[bytes], *, is_short_way: bool) -> list[object]:
    """Of each connection on which this is sent: the replies, and the records, both without their times."""
    found: list[object] = []
    journal = FakeJournal(True)
    async with serving(ingress_with(journal), gather_s=0) as server:
        short_way = mock.patch("bridge.http.connection.read_plain", return_value=None)
        with contextlib.nullcontext() if is_short_way else short_way:
            for data in sent:
                journal.records.clear()
                async with server.connect() as client:
                    client.send(data)
                    client.end()
                    replies = re.sub(rb"Date: .*?\r\n", b"", await client.rest())
                values = [re.sub(rb'"(id|time|receivedtime)":".*?"', b"", record.value) for record in journal.records]
                found.append((replies, [record.key for record in journal.records], values))
    return found


async def test_a_connection_gives_the_same_replies_and_records_either_way() -> None:
    chance = random.Random(1)
    sent = [any_callback(chance) for _ in range(500)]
    short, long = [await outcomes(sent, is_short_way=is_short) for is_short in (True, False)]
    for data, *both in zip(sent, short, long, strict=True):
        assert both[0] == both[1], data
    assert sum(b"200 OK" in str(outcome).encode() for outcome in short) > 100


async def test_empty_lines_before_a_plain_request_do_not_add_up() -> None:
    async with serving(ingress_with(FakeJournal(True)), gather_s=0) as server, server.connect() as client:
        for _ in range(3):
            client.send(b"\r\n" * (MAX_HEAD_BYTES // 4))
            await asyncio.sleep(0.01)
            assert (await client.ask(wire(SIGNED))).startswith(b"HTTP/1.1 200")
