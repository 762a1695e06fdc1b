"""Bodies that are compressed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from bridge.http.coding import MAX_MEMBERS, inflate
from bridge.http.head import HeadReader
from bridge.ingress.refusals import RefusedError

BODY = b'{"To_Account":"ann"}'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], ""),
        ([""], ""),
        (["Identity"], ""),
        (["gzip"], "gzip"),
        (["X-GZIP "], "gzip"),
        (["deflate"], "deflate"),
        (["identity", "gzip"], "gzip"),
        (["gzip, identity"], "gzip"),
        ([" ,deflate"], "deflate"),
    ],
)
def test_a_coding_is_found_in_however_many_fields_it_stands(values: list[str], coding: str) -> None:
    lines = "".join(f"Content-Encoding: {value}\r\n" for value in values)
    head, _ = HeadReader().read(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{lines}\r\n".encode())
    assert head is not None
    assert (head.fields.coding, head.fields.refusal) == (coding, None)


@pytest.mark.parametrize(
    ("packed", "coding"),
    [
        (gzip.compress(BODY, mtime=0), "gzip"),
        (gzip.compress(BODY[:5], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(BODY[5:], mtime=0), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
    ],
)
def test_a_compressed_body_is_unpacked_up_to_the_limit(packed: bytes, coding: str) -> None:
    assert inflate(packed, coding, max_bytes=len(BODY)) == BODY
    with pytest.raises(RefusedError) as refused:
        inflate(packed, coding, max_bytes=len(BODY) - 1)
    assert refused.value.refusal.status == 413


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"{}",
        gzip.compress(BODY, mtime=0)[:-1],
        gzip.compress(BODY, mtime=0) + b"x",
        gzip.compress(b"", mtime=0) * (MAX_MEMBERS + 1),
    ],
)
def test_what_is_not_compressed_as_it_says_is_refused(packed: bytes, coding: str) -> None:
    with pytest.raises(RefusedError) as refused:
        inflate(packed, coding, max_bytes=1000)
    assert refused.value.refusal.status == 400


def test_a_bomb_takes_no_more_memory_than_a_body_may() -> None:
    bomb = gzip.compress(b"{" * 100_000_000, mtime=0)
    tracemalloc.start()
    with pytest.raises(RefusedError):
        inflate(bomb, "gzip", max_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
