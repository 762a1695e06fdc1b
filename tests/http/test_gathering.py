"""How long requests gather: no longer than they gain by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.http.gathering import BUSY_LOT, QUIET_S, Gathering
from tests.support.http import until

NEVER_S = 3600.0


class Lots:
    """A gathering, and what it has handed over; `is_awaited` says whether Kafka would take it at once."""

    def __init__(self, gather_s: float = NEVER_S) -> None:
        self.is_awaited = False
        self.lots: list[int] = []
        self._accepted = 0
        self.gathering = Gathering(
            lambda _request, _verdict: self._accept(),
            self._flush,
            gather_s=gather_s,
            is_awaited=lambda: self.is_awaited,
        )

    def add(self, requests: int) -> None:
        request: Any = type("Request", (), {"verdict": None})
        for _ in range(requests):
            self.gathering.add(request)

    def _accept(self) -> None:
        self._accepted += 1

    def _flush(self) -> None:
        self.lots.append(self._accepted)
        self._accepted = 0


async def _a_turn_of_the_loop() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_kafka_would_take_at_once_gathers_only_with_what_has_arrived_by_then() -> None:
    lots = Lots()
    lots.is_awaited = True
    lots.add(2)
    assert lots.lots == []
    await _a_turn_of_the_loop()
    assert lots.lots == [2]
    await asyncio.sleep(2 * QUIET_S)
    lots.add(1)
    await _a_turn_of_the_loop()
    assert lots.lots == [2, 1]


async def test_what_gathers_while_something_is_on_its_way_leaves_when_that_is_confirmed_and_only_once() -> None:
    lots = Lots(gather_s=0.05)
    lots.gathering.end()
    lots.add(3)
    await _a_turn_of_the_loop()
    assert lots.lots == []
    lots.gathering.end()
    lots.gathering.end()
    await asyncio.sleep(0.1)
    assert lots.lots == [3]


async def test_what_nobody_waits_for_gathers_for_its_time() -> None:
    lots = Lots(gather_s=0.05)
    lots.add(1)
    lots.is_awaited = True  # It comes to nothing: the first has begun to gather.
    lots.add(1)
    await until(lambda: bool(lots.lots))
    assert lots.lots == [2]


@pytest.mark.parametrize("many", [BUSY_LOT, BUSY_LOT - 1], ids=["busy", "not busy"])
async def test_while_many_come_they_gather_for_their_time_whatever_kafka_does(many: int) -> None:
    lots = Lots()
    lots.add(many)
    lots.gathering.end()
    assert lots.lots == [many]
    lots.is_awaited = True
    lots.add(1)
    await _a_turn_of_the_loop()
    lots.gathering.end()
    assert lots.lots == ([many] if many == BUSY_LOT else [many, 1])


async def test_after_few_have_come_in_their_time_they_leave_at_once_again() -> None:
    lots = Lots(gather_s=0.01)
    lots.add(BUSY_LOT)
    lots.gathering.end()
    lots.is_awaited = True
    lots.add(1)
    await until(lambda: len(lots.lots) == 2)
    lots.gathering._gather_s = NEVER_S
    await asyncio.sleep(2 * QUIET_S)
    lots.add(1)
    await _a_turn_of_the_loop()
    assert lots.lots == [BUSY_LOT, 1, 1]


async def test_what_follows_soon_gathers_until_kafka_confirms() -> None:
    lots = Lots()
    lots.is_awaited = True
    lots.gathering._handed_over_at = asyncio.get_running_loop().time() + NEVER_S  # No time passes on this clock.
    lots.add(2)
    await _a_turn_of_the_loop()
    assert lots.lots == []
    lots.gathering.end()
    assert lots.lots == [2]
