"""When a reply leaves that waited for too long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.journal.deadlines import CHECK_INTERVAL_S, ReplyDeadlines
from bridge.journal.groups import Group, GroupState
from bridge.journal.record import Record
from tests.support.virtual_time import VirtualTimeLoop

DEADLINE_S = 0.5


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    made = VirtualTimeLoop()
    yield made
    made.end()


def watched(loop: VirtualTimeLoop, deadlines: ReplyDeadlines, told: list[bool]) -> Group:
    group = Group("t", loop.time())
    group.add(Record("t", b"k", b"v", [], 0), told.append)
    group.become(GroupState.UNWRITTEN)
    deadlines.watch(group)
    return group


def test_a_record_is_resolved_with_false_by_its_deadline_and_not_much_before(loop: VirtualTimeLoop) -> None:
    deadlines, told = ReplyDeadlines(loop, DEADLINE_S), list[bool]()
    watched(loop, deadlines, told)
    loop.advance(DEADLINE_S - 2 * CHECK_INTERVAL_S)
    before = list(told)
    loop.advance(2 * CHECK_INTERVAL_S)
    assert (before, told) == ([], [False])


def test_groups_that_came_later_have_their_own_time(loop: VirtualTimeLoop) -> None:
    deadlines, first, second = ReplyDeadlines(loop, DEADLINE_S), list[bool](), list[bool]()
    watched(loop, deadlines, first)
    loop.advance(DEADLINE_S / 2)
    watched(loop, deadlines, second)
    loop.advance(DEADLINE_S / 2)
    assert (first, second) == ([False], [])
    loop.advance(DEADLINE_S / 2)
    assert second == [False]


def test_a_group_that_became_durable_is_left_alone(loop: VirtualTimeLoop) -> None:
    deadlines, told = ReplyDeadlines(loop, DEADLINE_S), list[bool]()
    group = watched(loop, deadlines, told)
    group.resolve(True)
    group.become(GroupState.COMPLETE)
    loop.advance(DEADLINE_S * 2)
    assert told == [True]


def test_while_nobody_waits_the_loop_is_not_woken(loop: VirtualTimeLoop) -> None:
    deadlines, told = ReplyDeadlines(loop, DEADLINE_S), list[bool]()
    watched(loop, deadlines, told)
    loop.advance(DEADLINE_S)
    assert told == [False]
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]
