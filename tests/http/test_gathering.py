"""How long requests gather: as long as more of them arrive, and no longer than they may."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from bridge.http.gathering import MAX_GATHERED_BYTES, Gathering
from tests.support.http import until

NEVER_S = 3600.0


class Lots:
    """A gathering, and what it has handed over; `confirms` says whether Kafka does."""

    def __init__(self, gather_s: float = NEVER_S) -> None:
        self.confirms = True
        self.lots: list[int] = []
        self._accepted = 0
        self.gathering = Gathering(
            lambda request, _verdict, _now_ns: self._accept(request),
            self._flush,
            gather_s=gather_s,
            confirms=lambda: self.confirms,
        )
        self.aborted = 0

    def add(self, requests: int, *, fails: bool = False, size: int = 100) -> None:
        request: Any = type("Request", (), {"verdict": None, "fails": fails, "abort": self._abort})
        for _ in range(requests):
            self.gathering.add(request, size)

    def _abort(self) -> None:
        self.aborted += 1

    def _accept(self, request: Any) -> None:
        assert not request.fails
        self._accepted += 1

    def _flush(self) -> None:
        self.lots.append(self._accepted)
        self._accepted = 0


async def _a_turn_of_the_loop() -> None:
    await asyncio.sleep(0)


async def test_they_leave_together_when_the_event_loop_went_around_and_no_more_arrived() -> None:
    lots = Lots()
    lots.add(2)
    await _a_turn_of_the_loop()
    assert lots.lots == []
    lots.add(3)
    await _a_turn_of_the_loop()
    assert lots.lots == []
    await _a_turn_of_the_loop()
    assert lots.lots == [5]
    lots.add(1)
    await until(lambda: len(lots.lots) == 2)
    assert lots.lots == [5, 1]


async def test_while_more_and_more_arrive_they_leave_when_their_time_is_over() -> None:
    lots = Lots(gather_s=0.5)
    async with asyncio.timeout(60):
        while not lots.lots:
            lots.add(1)
            await _a_turn_of_the_loop()
    assert lots.lots[0] > 1
    lots.add(1)
    await until(lambda: len(lots.lots) == 2)


async def test_while_kafka_confirms_nothing_they_gather_for_all_their_time() -> None:
    lots = Lots(gather_s=1)
    lots.confirms = False
    lots.add(1)
    await _a_turn_of_the_loop()
    await _a_turn_of_the_loop()
    lots.confirms = True  # It comes to nothing: the first has begun to gather.
    lots.add(1)
    await _a_turn_of_the_loop()
    assert lots.lots == []
    await until(lambda: bool(lots.lots))
    assert lots.lots == [2]


async def test_what_is_handed_over_before_its_time_is_handed_over_once() -> None:
    lots = Lots(gather_s=0.01)
    for confirms in (True, False):
        lots.confirms = confirms
        lots.add(3)
        lots.gathering.hand_over()
    await asyncio.sleep(0.05)
    assert lots.lots == [3, 3]


async def test_trouble_with_one_request_leaves_the_others_their_replies(caplog: pytest.LogCaptureFixture) -> None:
    lots = Lots()
    with caplog.at_level(logging.ERROR):
        lots.add(1)
        lots.add(1, fails=True)
        lots.add(1)
        await until(lambda: bool(lots.lots))
    assert lots.lots == [2]
    assert lots.aborted == 1
    assert "a request could not be answered" in caplog.text


@pytest.mark.parametrize("confirms", [True, False])
async def test_many_large_ones_leave_at_once_so_that_they_take_no_more_memory_than_they_may(confirms: bool) -> None:
    lots = Lots()
    lots.confirms = confirms
    for _ in range(2):
        lots.lots.clear()
        lots.add(3, size=MAX_GATHERED_BYTES // 4)
        assert lots.lots == []
        lots.add(1, size=MAX_GATHERED_BYTES // 4)
        assert lots.lots == [4]
    lots.add(1)
    lots.gathering.hand_over()
    assert lots.lots == [4, 1]
