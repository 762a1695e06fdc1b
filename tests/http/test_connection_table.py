"""Which connections give way, and whose time is over."""

from __future__ import annotations

import asyncio

import pytest

from bridge.http.connection_table import LOT, RECENTLY_S, ConnectionTable
from tests.support.http import until


class NotingConnection:
    """A connection that notes what is done with it."""

    def __init__(self, *, idle_for_s: float = 0) -> None:
        now = asyncio.get_running_loop().time()
        self.deadline = float("inf")
        self.idle_since = now - idle_for_s
        self.may_give_way = True
        self.is_closed = False
        self.is_expired = False

    def expire(self) -> None:
        self.is_expired = True

    def abort(self) -> None:
        self.is_closed = True


def made_room(table: ConnectionTable) -> bool:
    """Displace for one more; whether that could be done."""
    displaced = table.giving_way(coming=0)
    if displaced is not None:
        table.displace(displaced)
    return displaced is not None


def proven(table: ConnectionTable, connection: NotingConnection) -> NotingConnection:
    table.add(connection)
    table.prove(connection)
    return connection


async def test_the_oldest_that_brought_no_authentic_request_gives_way() -> None:
    table = ConnectionTable(3)
    trusted = proven(table, NotingConnection(idle_for_s=1000))
    first, second = NotingConnection(), NotingConnection()
    for connection in (first, second):
        assert made_room(table)
        table.add(connection)
    for closed in (first, second):
        assert made_room(table)
        assert closed.is_closed
        table.add(NotingConnection())
    assert not trusted.is_closed
    assert len(table) == 3


async def test_of_proven_ones_those_give_way_that_are_idle_longest() -> None:
    table = ConnectionTable(LOT + 20)
    busy = [proven(table, NotingConnection(idle_for_s=0)) for _ in range(10)]
    idle = [proven(table, NotingConnection(idle_for_s=RECENTLY_S + 100 + number)) for number in range(LOT + 10)]
    assert made_room(table)
    assert [connection.is_closed for connection in idle] == [False] * 10 + [True] * LOT
    assert not any(connection.is_closed for connection in busy)


async def test_none_gives_way_on_which_a_reply_is_due() -> None:
    table = ConnectionTable(2)
    waiting, silent = NotingConnection(), NotingConnection()
    waiting.may_give_way = False
    for connection in (waiting, silent):
        table.add(connection)
    assert made_room(table)
    assert (waiting.is_closed, silent.is_closed) == (False, True)
    table.add(NotingConnection())
    assert made_room(table)
    assert not waiting.is_closed


async def test_there_is_no_room_while_all_are_at_work() -> None:
    table = ConnectionTable(2)
    busy = [proven(table, NotingConnection()) for _ in range(2)]
    assert not made_room(table)
    table.remove(busy[0])
    assert made_room(table)


async def test_connections_whose_time_is_over_are_told() -> None:
    table = ConnectionTable(9)
    late, early = NotingConnection(), proven(table, NotingConnection())
    table.add(late)
    late.deadline = asyncio.get_running_loop().time()
    await until(lambda: late.is_expired)
    assert not early.is_expired
    table.remove(late)
    early.deadline = late.deadline
    await until(lambda: early.is_expired)
    table.remove(early)
    table.remove(early)


async def test_one_that_cannot_be_ended_keeps_none_of_the_others_open(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(NotingConnection):
        def expire(self) -> None:
            raise RuntimeError("cannot be ended")

    table = ConnectionTable(3)
    broken, other = Broken(), NotingConnection()
    for connection in (broken, other):
        connection.deadline = 0.0
        table.add(connection)
    await until(lambda: other.is_expired)
    assert broken.is_closed
    assert "cannot be ended" in caplog.text
    table.remove(broken)
    table.remove(other)
    late = NotingConnection()
    late.deadline = 0.0
    table.add(late)
    await until(lambda: late.is_expired)
    table.remove(late)
