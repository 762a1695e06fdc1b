"""The loop over dead letters that all commands on them share."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import ConsumerRecord

from common import dead_letter_replay
from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_replay import MAX_SHOWN_FAILURES, NotReplayableError, ReplayProgress, for_each_letter
from common.kafka.dead_letters import DeadLetter


@pytest.fixture
def lay_out(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes so many letters open, without Kafka."""

    def lay_out(count: int) -> None:
        async def letters(*_: object, report: Callable[[int, int], None]) -> AsyncIterator[DeadLetter]:
            for offset in range(count):
                report(offset + 1, count)
                yield DeadLetter(ConsumerRecord("dlq", 0, offset, 1000, 0, b"ann", b"{}", None, 0, 0, ()))

        monkeypatch.setattr(dead_letter_replay, "open_letters", letters)

    return lay_out


async def handle_all(
    handle: Callable[[DeadLetter], None], *, rate: float | None = None, progress: ReplayProgress | None = None
) -> list[tuple[int, int]]:
    """Go through the letters; returns (read, done) as they were reported."""
    reports: list[tuple[int, int]] = []

    async def work(letter: DeadLetter) -> None:
        handle(letter)

    await for_each_letter(
        {},
        "dlq",
        DeadLetterFilter(),
        work,
        rate=rate,
        progress=progress or ReplayProgress(),
        report=lambda now: reports.append((now.read, now.done)),
    )
    return reports


async def test_each_letter_is_handled_in_order_and_reported(lay_out: Callable[[int], None]) -> None:
    lay_out(2)
    handled: list[str] = []
    assert await handle_all(lambda letter: handled.append(letter.name)) == [(1, 0), (1, 1), (2, 1), (2, 2)]
    assert handled == ["0-0", "0-1"]


async def test_letters_that_stay_are_all_counted_and_the_first_of_them_are_named(
    lay_out: Callable[[int], None],
) -> None:
    lay_out(MAX_SHOWN_FAILURES + 1)
    progress = ReplayProgress()

    def refuse(letter: DeadLetter) -> None:
        raise NotReplayableError(f"{letter.name} is bad")

    await handle_all(refuse, progress=progress)
    assert (progress.done, progress.failures, len(progress.failed)) == (0, 101, 100)
    assert progress.failed[0] == ("0-0", "0-0 is bad")


async def test_any_other_error_ends_it_before_the_next_letter(lay_out: Callable[[int], None]) -> None:
    lay_out(3)
    progress = ReplayProgress()

    def break_at_the_second(letter: DeadLetter) -> None:
        if letter.name == "0-1":
            raise OSError("no route to Kafka")

    with pytest.raises(OSError, match="no route"):
        await handle_all(break_at_the_second, progress=progress)
    assert (progress.done, progress.failures) == (1, 0)


async def test_no_more_letters_a_second_are_handled_than_the_rate(lay_out: Callable[[int], None]) -> None:
    lay_out(6)
    times: list[float] = []
    began = time.monotonic()
    await handle_all(lambda _: times.append(time.monotonic()), rate=50)
    assert times[-1] - began >= 5 / 50 * 0.99
