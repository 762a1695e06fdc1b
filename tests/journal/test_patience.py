"""When the journal thinks that Kafka is slow, and when it is only busy itself."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import uvloop

from bridge.journal.journal import Journal
from bridge.journal.late_timer import ROUNDS, LateTimer
from bridge.journal.patience import MOST_TIMES, Patience
from bridge.journal.record import Record
from tests.journal.model import LIMITS
from tests.support.outlet import ToldOutlet
from tests.support.virtual_time import VirtualTimeLoop

DEADLINE_S = 0.5
LEAST_S = 0.010


def after(patience: Patience, *seconds: float) -> float:
    """How long it waits when Kafka took so long for each of some groups."""
    for took in seconds:
        patience.confirmed_after(took)
    return patience.seconds


def test_kafka_has_at_least_what_is_set_and_twice_what_it_took_lately_but_not_much_more() -> None:
    assert after(Patience(LEAST_S, DEADLINE_S), *[0.004] * 100) == LEAST_S
    assert after(Patience(LEAST_S, DEADLINE_S), *[0.009] * 100) == pytest.approx(0.018, rel=0.01)
    assert after(Patience(LEAST_S, DEADLINE_S), *[0.025] * 100) == MOST_TIMES * LEAST_S
    assert after(Patience(LEAST_S, DEADLINE_S), *[0.009] * 100, *[0.002] * 100) == LEAST_S


def test_an_outage_gives_kafka_no_more_time_than_it_had() -> None:
    for took in (MOST_TIMES * LEAST_S, 0.1, 600.0):
        assert after(Patience(LEAST_S, DEADLINE_S), *[took] * 100) == LEAST_S


def test_the_disk_has_time_enough_before_the_deadline_unless_more_is_set() -> None:
    assert after(Patience(0.1, DEADLINE_S), *[0.12] * 100) == DEADLINE_S / 4
    assert after(Patience(0.4, DEADLINE_S), *[0.39] * 100) == 0.4
    assert after(Patience(0.0, DEADLINE_S), *[0.001] * 100) == 0.0


def test_what_is_confirmed_in_the_time_that_kafka_had_is_in_time() -> None:
    patience = Patience(LEAST_S, DEADLINE_S)
    assert patience.confirmed_after(0.009)
    assert not patience.confirmed_after(0.010)
    after(patience, *[0.009] * 100)
    assert patience.confirmed_after(0.015)


def test_a_timer_that_is_cancelled_while_it_goes_around_does_not_call_back() -> None:
    loop, called = VirtualTimeLoop(), list[bool]()
    timer = LateTimer(loop, lambda: called.append(True))
    timer.start_at(loop.time())
    loop.call_soon(timer.cancel)
    loop.advance(1)
    assert (called, timer.is_started) == ([], False)
    timer.start_at(loop.time() + 1)
    assert timer.is_started
    loop.advance(1)
    assert (called, timer.is_started) == ([True], False)
    loop.end()


@pytest.mark.parametrize("loop_of", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_confirmation_that_came_while_the_loop_was_busy_wakes_no_disk(
    loop_of: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    """Kafka's answer waits at its socket when the journal's timers are due, and takes five rounds from there."""

    async def busy() -> None:
        loop = asyncio.get_running_loop()
        journal = Journal(tmp_path, dataclasses.replace(LIMITS, reply_deadline_s=60), ToldOutlet())
        told = asyncio.Queue[bool]()
        await journal.start()
        with mock.patch.object(journal._writer, "write") as write:
            journal.append(Record("t", b"k", b"v", [], 0), told.put_nowait)
            journal.flush()
            group = await journal.queue("t").lease()
            assert group is not None
            kafka, broker = socket.socketpair()

            def arrive(rounds: int) -> None:
                if rounds:
                    loop.call_soon(arrive, rounds - 1)
                else:
                    journal.confirm(group.records)

            def readable() -> None:
                loop.remove_reader(kafka)
                arrive(ROUNDS - 2)

            loop.add_reader(kafka, readable)
            broker.send(b"x")
            time.sleep(2 * LIMITS.sync_after_s)  # noqa: ASYNC251 - nothing else can be done meanwhile
            assert await told.get()
            await asyncio.sleep(2 * LIMITS.sync_after_s)
            assert [call for call in write.mock_calls if len(call.args) > 1] == [], "no rows"
        kafka.close()
        broker.close()
        await journal.stop(5)

    with asyncio.Runner(loop_factory=loop_of) as runner:
        runner.run(busy())
