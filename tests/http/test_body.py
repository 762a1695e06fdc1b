"""Bodies that arrive in pieces or in chunks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.http.body import MAX_CHUNK_OVERHEAD_BYTES, ChunkedBody, SizedBody
from bridge.ingress.refusals import RefusedError

CHUNKED = b"5\r\nhello\r\n006;name=value\r\n world\r\nA \t;x\r\n\r\n1234567\n\r\n0\r\nX-Sum: 1\r\n\r\n"
CONTENT = b"hello world\r\n1234567\n"
BEHIND = b"POST "


def read(body: SizedBody | ChunkedBody, parts: list[bytes]) -> bytes:
    """Read on in these parts; what is behind the body, in the last of them."""
    for part in parts:
        at = body.read(part, 0)
        if body.is_whole:
            return part[at:]
        assert at == len(part)
    return b""


@given(st.sets(st.integers(1, len(CHUNKED))))
def test_a_chunked_body_is_the_same_wherever_it_is_cut(cuts: set[int]) -> None:
    data = CHUNKED + BEHIND
    places = [0, *sorted(cuts), len(data)]
    body = ChunkedBody(max_bytes=100)
    behind = read(body, [data[start:end] for start, end in itertools.pairwise(places)])
    assert bytes(body.content) == CONTENT
    assert body.is_whole
    assert behind == (b"" if len(CHUNKED) in cuts else BEHIND)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"zz\r\n", 400),
        (b"-5\r\nhello\r\n", 400),
        (b"+5\r\nhello\r\n", 400),
        (b"0x5\r\nhello\r\n", 400),
        (b"1_0\r\n", 400),
        (b" 5\r\nhello\r\n", 400),
        (b"\r\n", 400),
        (b"5\nhello\r\n", 400),
        (b"5\r\nhello!\r\n", 400),
        (b"5\r\nhelloX\r\n0\r\n\r\n", 400),
        (b"123456789\r\n", 400),
        (b"5;a\rb\r\nhello\r\n", 400),
        (b"5;a\0b\r\nhello\r\n", 400),
        (b"0\r\nA: b\r0\r\n\r\n", 400),
        (b"65\r\n", 413),
        (b"ffffffff\r\n", 413),
        (b"32\r\n" + b"x" * 50 + b"\r\n33\r\n", 413),
    ],
)
def test_broken_chunks_and_too_many_bytes_are_refused_at_once(data: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        ChunkedBody(max_bytes=100).read(data, 0)
    assert refused.value.refusal.status == status


def test_chunks_of_one_byte_are_read_and_masses_of_them_refused() -> None:
    body = ChunkedBody(max_bytes=1_000_000)
    body.read(b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n", 0)
    assert body.is_whole
    assert bytes(body.content) == b"x" * 1000
    for line in (b"1\r\nx\r\n", b"1;" + b"x" * 5000 + b"\r\nx\r\n"):
        body = ChunkedBody(max_bytes=1_000_000)
        with pytest.raises(RefusedError):
            body.read(line * 100_000, 0)
        assert len(body.content) < MAX_CHUNK_OVERHEAD_BYTES


def test_a_line_that_does_not_end_is_not_kept() -> None:
    body = ChunkedBody(max_bytes=1_000_000)
    for _ in range(3):
        assert body.read(b"1;" + b"x" * 10_000, 0) == 10_002
    with pytest.raises(RefusedError):
        body.read(b"1;" + b"x" * 10_000, 0)


def test_a_body_of_a_told_size_ends_there() -> None:
    body = SizedBody(5, max_bytes=5)
    assert body.read(b"..he", 2) == 4
    assert not body.is_whole
    assert read(body, [b"l", b"lo" + BEHIND]) == BEHIND
    assert bytes(body.content) == b"hello"
    with pytest.raises(RefusedError):
        SizedBody(6, max_bytes=5)
