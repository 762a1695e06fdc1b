"""Heads of requests, however they arrive."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.http.head import MAX_FIELDS, MAX_HEAD_BYTES, Head, HeadFields, HeadReader
from bridge.ingress.refusals import RefusedError
from bridge.query import query_of
from tests.support.queries import told, told_by_head

HEAD = (
    b"POST /?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Traceparent: y\r\nTracestate: a=b\r\ntracestate: c=d\r\n\r\n"
)
BEHIND = b"abc\r\n\r\nGET"


def read(parts: list[bytes]) -> tuple[Head, bytes]:
    """Read until a head is whole; it, and what came behind it in the last part."""
    reader = HeadReader()
    for part in parts:
        head, at = reader.read(part)
        if head is not None:
            return head, part[at:]
        assert at == len(part)
    raise AssertionError("the head was not found")


@given(st.sets(st.integers(1, len(HEAD) - 1)), st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\r\n" * 5]))
def test_a_head_is_the_same_wherever_it_is_cut(cuts: set[int], before: bytes) -> None:
    data = before + HEAD + BEHIND
    places = [0, *sorted(cuts), len(data)]
    parts = [data[start:end] for start, end in itertools.pairwise(places)]
    head, behind = read(parts)
    assert head is not None
    assert told_by_head(head) == (told(query_of("POST /?a=b")), HeadFields(traceparent="y", tracestate="a=b,c=d"), 3)
    ends = {sum(map(len, parts[: number + 1])) for number in range(len(parts))}
    assert behind == (b"" if len(before + HEAD) in ends else BEHIND)


def test_a_head_byte_by_byte_ends_at_its_last_byte() -> None:
    reader = HeadReader()
    for number in range(3):
        for byte in HEAD[:-1]:
            assert reader.read(bytes([byte])) == (None, 1)
            assert reader.is_begun
        head, at = reader.read(HEAD[-1:] + b"x")
        assert head is not None
        assert at == 1, f"head {number}"
        assert not reader.is_begun


def test_empty_lines_begin_no_head() -> None:
    reader = HeadReader()
    assert reader.read(b"\r\n\r\n\r\n") == (None, 6)
    assert not reader.is_begun
    reader.read(b"P")
    assert reader.is_begun


@pytest.mark.parametrize(
    ("parts", "status", "word"),
    [
        ([b"\r\n" * MAX_HEAD_BYTES], 431, "large"),
        ([b"\r\n"] * MAX_HEAD_BYTES, 431, "large"),
        ([b"POST /" + b"a" * MAX_HEAD_BYTES], 431, "large"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nA: ", *[b"a" * 1000] * 40], 431, "large"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\n", *[b"A: b\r\n"] * (MAX_FIELDS + 1), b"\r\n"], 431, "large"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n"], 431, "large"),
        ([b"POST / HTTP/1.1\r\n\r\n"], 400, "Host"),
        ([b"POST / HTTP/2.0\r\nHost: x\r\n\r\n"], 505, "HTTP/1.1"),
        ([b"GET /\r\n\r\n"], 505, "HTTP/1.1"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"], 400, "no HTTP"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"], 400, "no HTTP"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n"], 400, "no HTTP"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"], 400, "no HTTP"),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n"], 400, "no HTTP"),
        ([b"POST /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"], 400, "no HTTP"),
        ([b"\x16\x03\x01\x02\x00\x01"], 400, "TLS"),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, "HTTP/2"),
        ([b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"], 400, "PROXY"),
        ([b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"], 400, "PROXY"),
    ],
)
def test_what_cannot_be_a_request_is_refused_with_a_reason(parts: list[bytes], status: int, word: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read(parts)
    assert refused.value.refusal.status == status
    assert word in f"{refused.value.refusal.message}: {refused.value.refusal.advice}"


def test_a_url_may_be_long_and_absolute() -> None:
    for path in ("/?x=" + "y" * 20_000, "http://callbacks.example/?a=b"):
        head, _ = read([f"POST {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()])
        assert head.query.line == f"POST {path}"
