"""The number of a record in its header."""

import pytest

from common.audit.header import Life, RecordNumber, parse_life, parse_number, prefix_of


def test_what_is_written_is_read() -> None:
    life = Life("k3f9a2", 7)
    value = prefix_of(life) + b"%d" % 123456
    assert value == b"k3f9a2/7/123456"
    assert parse_number(value) == RecordNumber("k3f9a2", 7, 123456)
    assert parse_number(value).life == life  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"k3f9a2/7",
        b"k3f9a2/7/",
        b"k3f9a2/7/0",
        b"k3f9a2/0/1",
        b"k3f9a2/7/01",
        b"k3f9a2/7/-1",
        b"k3f9a2/7/1/1",
        b"k3f9a2/7/1\n",
        b" k3f9a2/7/1",
        b"K3F9A2/7/1",
        b"/7/1",
        b"\xff/7/1",
        b"k3f9a2/7/\xd9\xa1",
        b"k3f9a2/7/" + b"9" * 5000,
    ],
    ids=str,
)
def test_what_we_never_wrote_is_no_number(value: bytes) -> None:
    assert parse_number(value) is None


def test_a_life_is_known_by_its_name() -> None:
    assert parse_life(Life("k3f9a2", 7).name) == Life("k3f9a2", 7)
    assert parse_life("k3f9a2") is None
    assert parse_life("k3f9a2/x") is None
    assert parse_life("ü/1") is None
