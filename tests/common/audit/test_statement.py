"""What an ingress process states, as a record."""

import msgspec
import pytest

from common.audit.header import Life
from common.audit.statement import Previous, Statement, TopicStatement, decode_statement

STATEMENT = Statement(
    process="k3f9a2",
    epoch=7,
    folder="f00d",
    host="ingress-1",
    pid=4711,
    version="0.1.0",
    started_ms=1_764_000_000_000,
    time_ms=1_764_000_010_000,
    interval_s=10.0,
    ended="killed",
    previous=Previous(epoch=6, given={"im.events": 12}),
    topics={"im.events": TopicStatement(given=9, durable_through=4, never_durable=[(5, 6), (8, 9)], is_exact=True)},
    looks=2,
    taken_over=3,
    set_aside={"k3f9a2/6": {"im.events": [(3, 3)]}},
)


def test_what_is_stated_is_read() -> None:
    assert decode_statement(STATEMENT.encode()) == STATEMENT
    assert STATEMENT.key == b"k3f9a2/7"
    assert STATEMENT.life == Life("k3f9a2", 7)


def test_a_statement_of_a_later_version_is_read() -> None:
    later = msgspec.json.decode(STATEMENT.encode()) | {"mood": "fine"}
    assert decode_statement(msgspec.json.encode(later)) == STATEMENT


@pytest.mark.parametrize("value", [b"", b"{}", b"null", b'{"process": 1}', b"\xff"], ids=str)
def test_what_is_no_statement_is_told(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_statement(value)
