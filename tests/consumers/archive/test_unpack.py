"""Unpacking a file, and whether it is what was promised."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

from consumers.archive.check import check_file
from consumers.archive.history import ArchiveFile
from consumers.archive.unpack import CHUNK_BYTES, UnpackError, unpacked
from tests.support.im_archive import StoredFile

TEXT = b"".join(b"message %d\n" % number for number in range(100_000))


def whole(path: Path, *, max_bytes: int = len(TEXT)) -> bytes:
    return b"".join(unpacked(path, max_bytes=max_bytes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.gz"


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_file_is_unpacked_in_chunks_that_are_bounded(path: Path, level: int) -> None:
    path.write_bytes(gzip.compress(TEXT, level))
    chunks = list(unpacked(path, max_bytes=len(TEXT)))
    assert b"".join(chunks) == TEXT
    assert max(map(len, chunks)) <= CHUNK_BYTES


def test_a_file_of_several_members_is_the_members_one_after_the_other(path: Path) -> None:
    path.write_bytes(b"".join(gzip.compress(part) for part in (TEXT[:1000], b"", TEXT[1000:])))
    assert whole(path) == TEXT


@pytest.mark.parametrize("more", [b"garbage", bytes(1000), b"\x00\x1f\x8b"], ids=repr)
def test_what_stands_behind_the_last_member_is_passed_over(path: Path, more: bytes) -> None:
    path.write_bytes(gzip.compress(TEXT) + more)
    assert whole(path) == TEXT


def test_an_empty_file_holds_nothing(path: Path) -> None:
    path.write_bytes(b"")
    assert whole(path) == b""


def test_a_file_that_unpacks_to_more_than_was_said_is_left_there(path: Path) -> None:
    path.write_bytes(gzip.compress(bytes(100_000_000)))
    given: list[bytes] = []
    with pytest.raises(UnpackError, match="more than the 1000000 bytes"):
        given.extend(unpacked(path, max_bytes=1_000_000))
    assert sum(map(len, given)) <= 1_000_000


@pytest.mark.parametrize("cut", [1, 8, 9, 1000])
def test_a_cut_file_is_told_from_a_whole_one(path: Path, cut: int) -> None:
    path.write_bytes(gzip.compress(TEXT)[:-cut])
    with pytest.raises(UnpackError, match="ends in its middle"):
        whole(path)


@pytest.mark.parametrize("data", [b"hello", b"\x1f\x8b\x08" + bytes(100), gzip.compress(TEXT) + b"\x1f\x8bx"])
def test_what_is_no_gzip_file_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UnpackError):
        whole(path)


def test_a_wrong_checksum_is_refused(path: Path) -> None:
    data = bytearray(gzip.compress(TEXT))
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnpackError, match="damaged"):
        whole(path)


GOOD = StoredFile.of(TEXT)


@pytest.mark.parametrize(
    ("promised", "wrong"),
    [
        (GOOD, ""),
        (replace(GOOD, gzip_md5=GOOD.gzip_md5.upper(), file_md5=GOOD.file_md5.upper()), ""),
        (replace(GOOD, gzip_size=GOOD.gzip_size + 1), "and GzipSize is"),
        (replace(GOOD, gzip_size=GOOD.gzip_size - 1), "it has more, and GzipSize is"),
        (replace(GOOD, gzip_md5="0" * 32), "and GzipMD5 is 000"),
        (replace(GOOD, file_size=GOOD.file_size + 1), "and FileSize is"),
        (replace(GOOD, file_size=GOOD.file_size - 1), "unpacks to more than"),
        (replace(GOOD, file_md5="0" * 32), "and FileMD5 is 000"),
    ],
    ids=["good", "capitals", "longer", "shorter", "packed", "more", "less", "unpacked"],
)
def test_a_file_is_compared_with_what_was_promised(path: Path, promised: StoredFile, wrong: str) -> None:
    assert isinstance(GOOD.packed, bytes)
    path.write_bytes(GOOD.packed)
    *steps, verdict = check_file(path, as_named(promised))
    assert (verdict == "") if not wrong else (wrong in str(verdict))
    assert set(steps) <= {None}


def test_a_large_file_is_compared_in_steps(path: Path) -> None:
    stored = StoredFile.of(os.urandom(1024) * 32_768, level=1)
    assert isinstance(stored.packed, bytes)
    path.write_bytes(stored.packed)
    *steps, verdict = check_file(path, as_named(stored))
    assert verdict == ""
    assert len(steps) >= 4


def as_named(file: StoredFile) -> ArchiveFile:
    return ArchiveFile(
        url="http://localhost/",
        gzip_size=file.gzip_size,
        gzip_md5=file.gzip_md5,
        file_size=file.file_size,
        file_md5=file.file_md5,
    )
