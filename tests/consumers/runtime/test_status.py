"""What is told of servers and of work that waits: each change once."""

from __future__ import annotations

import logging

import pytest

from consumers.runtime.status import MAX_TOLD_REASONS, ServerStatus, WaitStatus


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_server_is_told_away_once_and_there_again_once(caplog: pytest.LogCaptureFixture) -> None:
    changes: list[bool] = []
    status = ServerStatus("Redis at here", changes.append)
    seen = [status.up]
    for _ in range(3):
        status.reached()
    seen.append(status.up)
    for _ in range(3):
        status.lost("it is full")
    seen.append(status.up)
    status.reached()
    assert seen == [False, True, False]
    assert changes == [False, True, False, True]
    lines = caplog.messages
    assert lines[:2] == [
        "connected to Redis at here",
        "no connection to Redis at here, trying again until it comes: it is full",
    ]
    assert len(lines) == 3
    assert lines[2].startswith("connected to Redis at here again, after ")


def test_work_waits_until_its_last_piece_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    changes: list[bool] = []
    waiting = WaitStatus(changes.append)
    waiting.begin(1, "Redis is away")
    waiting.begin(2, "Redis is away")
    waiting.begin(1, "Redis is away")
    reasons = []
    for work in (1, 2, 2):
        waiting.end(work)
        reasons.append(waiting.reason)
    assert reasons == ["Redis is away", None, None]
    assert changes == [True, False]
    assert caplog.messages[0] == "waiting, nothing is lost: Redis is away"
    assert len(caplog.messages) == 2


def test_a_new_reason_is_told(caplog: pytest.LogCaptureFixture) -> None:
    waiting = WaitStatus(lambda _: None)
    waiting.begin(1, "Redis is away")
    waiting.begin(1, "Redis is full")
    assert [line.partition(": ")[2] for line in caplog.messages] == ["Redis is away", "Redis is full"]


def test_reasons_that_take_turns_are_told_once_each_and_again_at_the_next_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    waiting = WaitStatus(lambda _: None)
    for _ in range(2):
        for _ in range(5):
            waiting.begin(1, "Redis is away")
            waiting.begin(2, "Redis refuses")
        waiting.end(1)
        waiting.end(2)
    told = [line.partition(": ")[2] for line in caplog.messages]
    assert told == ["Redis is away", "Redis refuses", ""] * 2


def test_reasons_without_end_are_told_so_often_only(caplog: pytest.LogCaptureFixture) -> None:
    waiting = WaitStatus(lambda _: None)
    for number in range(1000):
        waiting.begin(1, f"attempt {number} failed")
    assert len(caplog.messages) == MAX_TOLD_REASONS
    assert waiting.reason == "attempt 999 failed"


def test_work_that_is_given_up_while_it_waits_is_not_told_as_going_on(caplog: pytest.LogCaptureFixture) -> None:
    changes: list[bool] = []
    waiting = WaitStatus(changes.append)
    waiting.begin(1, "Redis is away")
    waiting.abandon(1)
    assert changes == [True, False]
    assert len(caplog.messages) == 1
