"""Ending what may not want to end."""

from __future__ import annotations

import asyncio
import time

from common.bounded import finish


async def test_a_client_that_raises_the_cancellation_of_a_task_of_its_own_does_not_cancel_us() -> None:
    async def stop() -> None:
        raise asyncio.CancelledError

    assert not await finish(stop(), within_s=1)


async def test_what_does_not_end_in_time_is_left_behind() -> None:
    began = time.monotonic()
    assert not await finish(asyncio.Event().wait(), within_s=0.05)
    assert time.monotonic() - began < 1


async def test_an_error_at_the_end_is_no_error_of_ours() -> None:
    async def stop() -> None:
        raise ValueError

    assert not await finish(stop(), within_s=1)
    assert await finish(asyncio.sleep(0), within_s=1)
