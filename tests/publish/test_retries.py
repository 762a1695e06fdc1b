"""What a session sends again, to whom and in which order, and what ends it."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from aiokafka.errors import (
    DuplicateSequenceNumber,
    KafkaConnectionError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    UnknownProducerId,
    UnknownTopicOrPartitionError,
)

from bridge.publish.produce.fate import MAX_DAMAGED, CorruptBatchError
from bridge.publish.produce.request import ProduceAnswer
from bridge.publish.produce.requests import FOLLOW_AFTER_S, MAX_THROTTLE_S
from bridge.publish.producer_session import (
    ProducerLostError,
)
from tests.publish.bench import LEADERS, Bench, FakeBroker
from tests.support.http import until


async def test_what_a_leader_has_not_confirmed_is_sent_again_to_the_next_one_byte_for_byte_the_same(
    bench: Bench,
) -> None:
    bench.accept(0, 0)
    first = await bench.broker.until_sent(0)
    bench.broker.leaders = (2, 2)
    first.refuse(NotLeaderForPartitionError.errno)
    again = await bench.broker.until_sent(1)
    assert bench.broker.looked == 1
    assert (again.partition, again.data) == (0, first.data)
    assert (first.node, again.node) == (1, 2)
    again.refuse(DuplicateSequenceNumber.errno)  # It had been appended for all that.
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert bench.journal.is_drained


async def test_a_batch_whose_connection_broke_is_sent_again_before_those_that_came_after_it(bench: Bench) -> None:
    bench.accept(0)
    first = await bench.broker.until_sent(0)
    bench.accept(0)
    first.answer.set_exception(KafkaConnectionError("closed"))
    again = await bench.broker.until_sent(1)
    assert again.data == first.data
    again.confirm()
    second = await bench.broker.until_sent(2)
    assert (again.batch.base_sequence, second.batch.base_sequence) == (0, 1)


async def test_a_second_batch_follows_the_first_only_where_the_broker_is_sure_to_know_the_producer(
    bench: Bench,
) -> None:
    bench.accept(0)
    first = await bench.broker.until_sent(0)
    bench.accept(0)
    bench.accept(1)
    await bench.broker.until_sent(1)
    assert [one.partition for one in bench.broker.sent] == [0, 1]
    first.confirm()
    await bench.broker.until_sent(2)
    await asyncio.sleep(2 * FOLLOW_AFTER_S)
    bench.accept(0)
    await bench.broker.until_sent(3)
    await asyncio.sleep(2 * FOLLOW_AFTER_S)
    bench.accept(0)
    bench.broker.sent[1].confirm()
    bench.accept(1)
    await bench.broker.until_sent(4)
    assert [one.partition for one in bench.broker.sent] == [0, 1, 0, 0, 1]
    assert [one.batch.base_sequence for one in bench.broker.sent] == [0, 0, 1, 2, 1]


async def test_a_batch_that_follows_one_that_has_failed_is_sent_after_it_though_the_broker_refused_both(
    bench: Bench,
) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).confirm()
    await asyncio.wait_for(bench.has_published.wait(), 60)
    bench.accept(0)
    first = await bench.broker.until_sent(1)
    await asyncio.sleep(2 * FOLLOW_AFTER_S)
    bench.accept(0)
    second = await bench.broker.until_sent(2)
    first.refuse(NotEnoughReplicasError.errno)
    second.refuse(OutOfOrderSequenceNumber.errno)
    (await bench.broker.until_sent(3)).confirm()
    (await bench.broker.until_sent(4)).confirm()
    assert [one.batch.base_sequence for one in bench.broker.sent] == [0, 1, 2, 1, 2]


async def test_a_batch_that_arrives_damaged_is_sent_again_and_searched_through_only_where_it_always_does(
    bench: Bench,
) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).answer.set_exception(KafkaConnectionError("closed"))
    for number in range(1, MAX_DAMAGED):
        (await bench.broker.until_sent(number)).refuse(CorruptBatchError.errno)
    last = await bench.broker.until_sent(MAX_DAMAGED)
    assert bench.search.found is None
    last.refuse(CorruptBatchError.errno)
    await asyncio.gather(bench.task, return_exceptions=True)
    assert bench.search.found is not None


async def test_a_partition_without_a_leader_waits_until_it_has_one(bench: Bench) -> None:
    bench.broker.leaders = ()
    bench.accept(0)
    bench.accept(1)
    async with asyncio.timeout(60):
        while not bench.broker.looked:  # noqa: ASYNC110 - the session offers no event for it
            await asyncio.sleep(0)
    assert not bench.broker.sent
    bench.broker.leaders = LEADERS
    await bench.broker.until_sent(1)


@pytest.mark.parametrize(
    ("code", "why"),
    [(OutOfOrderSequenceNumber.errno, "OutOfOrderSequenceNumber"), (UnknownProducerId.errno, "UnknownProducerId")],
    ids=["out of order", "unknown producer"],
)
async def test_a_broker_that_does_not_know_the_producer_any_more_costs_it(code: int, why: str, bench: Bench) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).refuse(code)
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match=why)


async def test_a_topic_with_fewer_partitions_than_it_had_costs_the_producer(bench: Bench) -> None:
    bench.accept(1)
    first = await bench.broker.until_sent(0)
    bench.broker.leaders = (1,)
    first.refuse(UnknownTopicOrPartitionError.errno)
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match="the topic has 1 partitions, of the 2 that it had")


async def test_a_broker_that_wants_to_hear_nothing_is_one_that_does_not_confirm(bench: Bench) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).answer.set_result(ProduceAnswer({0: 0}, MAX_THROTTLE_S))
    await asyncio.wait_for(bench.has_published.wait(), 60)
    bench.accept(0, 1)
    await bench.broker.until_sent(1)  # To the other one, which has said nothing.
    assert [one.partition for one in bench.broker.sent] == [0, 1]
    bench.broker.sent[1].confirm()
    await until(lambda: not bench.session.confirms)
    again = await bench.broker.until_sent(2)
    again.confirm()
    await until(lambda: bench.session.confirms)


async def test_an_answer_that_does_not_name_a_partition_confirms_nothing(bench: Bench) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).answer.set_result(ProduceAnswer({1: 0}, 0.0))
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match="does not name its partition")
    assert bench.published == 0


async def test_what_is_confirmed_while_a_session_ends_is_not_sent_again_and_nothing_holds_the_session(
    bench: Bench,
) -> None:
    bench.accept(0)
    bench.accept(1)
    confirmed, unheard = await bench.broker.until_sent(0), await bench.broker.until_sent(1)
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)
    confirmed.confirm()
    unheard.answer.set_exception(KafkaConnectionError("closed"))  # As when its client is abandoned.
    await asyncio.wait_for(bench.has_published.wait(), 60)
    ended = weakref.ref(bench.session)
    second = FakeBroker()
    bench.session = bench.session_on(second)
    bench.task = asyncio.ensure_future(bench.session.run())
    assert (await second.until_sent(0)).partition == 1
    gc.collect()
    assert ended() is None
