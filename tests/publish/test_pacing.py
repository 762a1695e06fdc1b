"""How fast a backlog leaves."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge.publish.pacing import BACKLOG_SHARE, BEHIND_AFTER_S, Arrivals, Pace


async def test_a_backlog_rests_until_its_work_was_no_more_than_its_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("bridge.publish.pacing.time.perf_counter", lambda: now[0])
    pace = Pace(Arrivals())
    pace.start()
    with pace:
        now[0] += 0.005
    now[0] += 0.001
    began = time.monotonic()
    await pace.rest()
    assert time.monotonic() - began >= (0.005 / BACKLOG_SHARE - 0.006) * 0.9


async def test_a_backlog_that_waited_for_kafka_long_enough_does_not_rest_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("bridge.publish.pacing.time.perf_counter", lambda: now[0])
    pace = Pace(Arrivals())
    pace.start()
    with pace:
        now[0] += 0.005
    now[0] += 0.005 / BACKLOG_SHARE
    resting = asyncio.ensure_future(pace.rest())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert resting.done()


def test_a_backlog_gives_way_while_callbacks_come_of_whatever_topic() -> None:
    arrivals = Arrivals()
    pace = Pace(arrivals)
    before = pace.gives_way(BEHIND_AFTER_S * 2, disk_ok=True)
    arrivals.note()
    assert (before, pace.gives_way(BEHIND_AFTER_S * 2, disk_ok=True)) == (False, True)


def test_what_came_just_now_gives_way_to_nobody() -> None:
    arrivals = Arrivals()
    arrivals.note()
    assert not Pace(arrivals).gives_way(BEHIND_AFTER_S / 2, disk_ok=True)


def test_a_backlog_hurries_where_replies_wait_for_kafka_behind_it() -> None:
    arrivals = Arrivals()
    arrivals.note()
    assert not Pace(arrivals).gives_way(BEHIND_AFTER_S * 2, disk_ok=False)
