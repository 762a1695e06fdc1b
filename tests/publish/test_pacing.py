"""How fast a backlog leaves."""

from __future__ import annotations

import asyncio
import time

from bridge.publish.pacing import BACKLOG_SHARE, Pace


async def test_a_backlog_rests_until_its_work_was_no_more_than_its_share_of_the_time() -> None:
    pace = Pace()
    began = time.perf_counter()
    pace.start()
    with pace:
        while time.perf_counter() < began + 0.005:
            pass
    await pace.rest()
    assert time.perf_counter() - began >= 0.005 / BACKLOG_SHARE * 0.9


async def test_a_backlog_that_waited_for_kafka_long_enough_does_not_rest_as_well() -> None:
    pace = Pace()
    pace.start()
    with pace:
        pass
    await asyncio.sleep(0.01)
    resting = asyncio.ensure_future(pace.rest())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert resting.done()
