"""Signals that ask a process to stop, and the end of what may not want to end."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from common.asyncio_tools import finish, on_stop_signal


async def test_a_client_that_raises_the_cancellation_of_a_task_of_its_own_does_not_cancel_us() -> None:
    async def stop() -> None:
        raise asyncio.CancelledError

    assert not await finish(stop(), within_s=1)


async def test_what_does_not_end_in_time_is_left_behind() -> None:
    async with asyncio.timeout(60):
        assert not await finish(asyncio.Event().wait(), within_s=0.05)


async def test_an_error_at_the_end_is_no_error_of_ours() -> None:
    async def stop() -> None:
        raise ValueError

    assert not await finish(stop(), within_s=1)
    assert await finish(asyncio.sleep(0), within_s=1)


@pytest.mark.parametrize(
    ("number", "hangup"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGHUP, True)], ids=str
)
async def test_a_signal_is_noticed_within_the_block_each_time_that_it_comes(
    number: signal.Signals, hangup: bool
) -> None:
    came: asyncio.Queue[None] = asyncio.Queue()
    with on_stop_signal(lambda: came.put_nowait(None), hangup=hangup):
        for _ in range(2):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(came.get(), 60)


async def test_after_the_block_a_signal_ends_the_process_as_ever() -> None:
    with on_stop_signal(lambda: None, hangup=True):
        pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
