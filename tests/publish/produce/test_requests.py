"""What a leader is told and when: how many requests at once, and none while it wants to hear nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.errors import KafkaError

from bridge.publish.produce.batch import Batch, BatchForm
from bridge.publish.produce.request import ProduceAnswer
from bridge.publish.produce.requests import (
    FOLLOW_AFTER_S,
    LINGER_BELOW_BYTES,
    LINGER_FROM_RECORDS,
    LINGER_S,
    MAX_THROTTLE_S,
    Requests,
)
from tests.support.virtual_time import VirtualTimeLoop


class UnansweredClient:
    """Gives futures for answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answers: list[asyncio.Future[ProduceAnswer]] = []
        self._loop = loop

    def send(self, _node: int, _request: Any) -> asyncio.Future[ProduceAnswer]:
        self.answers.append(self._loop.create_future())
        return self.answers[-1]


class Desk:
    """Requests by such a client, on a clock of the test's own."""

    def __init__(self) -> None:
        self.loop = VirtualTimeLoop()
        self.client = UnansweredClient(self.loop)
        self.heard: list[ProduceAnswer | KafkaError] = []
        self.freed = 0
        client: Any = self.client
        self.requests = Requests(
            client,
            "t",
            loop=self.loop,
            timeout_s=1,
            on_answered=lambda _, answer: self.heard.append(answer),
            on_free=self._free,
        )

    def _free(self) -> None:
        self.freed += 1

    def send(self, node: int, *, records: int = 0, record_bytes: int = 700) -> Batch:
        builder = BatchForm(7, 0).builder(0)
        for offset in range(records):
            assert builder.append(offset, 0, b"key", bytes(record_bytes), []) is not None
        pending: list[Any] = [None] * records
        batch = Batch(0, pending, builder)
        self.requests.send(node, [batch])
        return batch

    def answer(self, number: int, *, throttle_s: float = 0.0) -> None:
        """To a request; what that causes is done when this returns."""
        self.client.answers[number].set_result(ProduceAnswer({0: 0}, throttle_s))
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.loop.run_due()


def test_a_leader_has_one_request_where_it_answers_soon_and_two_where_it_takes_long() -> None:
    desk = Desk()
    assert desk.requests.may_send(1)
    desk.send(1)
    assert not desk.requests.may_send(1)
    assert desk.requests.may_send(2)
    desk.loop.advance(FOLLOW_AFTER_S * 1.1)
    assert desk.requests.may_send(1)
    desk.send(1)
    desk.loop.advance(FOLLOW_AFTER_S * 1.1)
    assert not desk.requests.may_send(1)
    desk.answer(0)
    assert desk.requests.may_send(1)
    desk.loop.end()


def test_after_an_answer_to_many_records_the_next_request_waits_for_more_to_come_but_not_for_long() -> None:
    desk = Desk()
    desk.send(1, records=LINGER_FROM_RECORDS)
    desk.answer(0)
    assert (desk.requests.may_send(1), desk.freed) == (False, 0)
    assert desk.requests.may_send(2)
    desk.loop.advance(LINGER_S * 1.1)
    assert (desk.requests.may_send(1), desk.freed) == (True, 1)

    desk.send(1, records=LINGER_FROM_RECORDS)
    desk.answer(1)
    assert not desk.requests.may_send(1)
    desk.requests.more_has_come()
    assert desk.requests.may_send(1)
    desk.loop.advance(LINGER_S * 1.1)
    assert desk.freed == 1
    desk.loop.end()


def test_where_there_is_little_to_do_or_a_backlog_no_request_waits_for_more() -> None:
    desk = Desk()
    desk.send(1, records=LINGER_FROM_RECORDS - 1)
    desk.answer(0)
    assert desk.requests.may_send(1)
    desk.send(1, records=LINGER_FROM_RECORDS, record_bytes=LINGER_BELOW_BYTES // LINGER_FROM_RECORDS)
    desk.answer(1)
    assert desk.requests.may_send(1)
    desk.loop.end()


def test_a_broker_that_wants_to_hear_nothing_is_left_alone_so_long_and_the_others_are_not() -> None:
    desk = Desk()
    desk.send(1)
    desk.answer(0, throttle_s=2.0)
    assert desk.heard == [ProduceAnswer({0: 0}, 2.0)]
    assert not desk.requests.may_send(1)
    assert desk.requests.may_send(2)
    desk.loop.advance(1.9)
    assert (desk.requests.may_send(1), desk.freed) == (False, 0)
    desk.loop.advance(0.2)
    assert (desk.requests.may_send(1), desk.freed) == (True, 1)
    desk.loop.end()


def test_no_broker_is_left_alone_for_as_long_as_it_likes() -> None:
    desk = Desk()
    desk.send(1)
    desk.answer(0, throttle_s=3600.0)
    desk.loop.advance(MAX_THROTTLE_S)
    assert desk.requests.may_send(1)
    desk.loop.end()


def test_a_request_that_was_cancelled_by_others_has_failed() -> None:
    desk = Desk()
    desk.send(1)
    desk.client.answers[0].cancel()
    desk.loop.run_due()
    assert [type(one) for one in desk.heard] == [KafkaError]
    desk.loop.end()


def test_after_its_end_what_is_in_flight_is_heard_of_and_no_timer_runs() -> None:
    desk = Desk()
    desk.send(1)
    desk.send(2)
    desk.send(3, records=LINGER_FROM_RECORDS)
    desk.send(4, records=LINGER_FROM_RECORDS)
    desk.answer(0, throttle_s=1.0)
    desk.answer(2)
    desk.requests.close()
    desk.answer(1, throttle_s=1.0)
    desk.answer(3)
    assert [one for one in desk.heard if isinstance(one, ProduceAnswer)] == desk.heard
    assert len(desk.heard) == 4
    desk.loop.advance(2)
    assert desk.freed == 0
    desk.loop.end()


def test_a_batch_knows_who_has_it() -> None:
    desk = Desk()
    batch = desk.send(2)
    assert batch.leader == 2
    desk.requests.send(1, [batch])
    assert batch.leader == 1
    desk.loop.end()
