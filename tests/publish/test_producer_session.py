"""What a session does between the things that a real broker can be made to do: see `tests/system/test_faults.py`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from pathlib import Path

import pytest
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    NotEnoughReplicasError,
    UnknownError,
)

from bridge.publish import rejection_search
from bridge.publish.pacing import ROUND_BYTES
from bridge.publish.produce.batch import MAX_BATCH_BYTES
from bridge.publish.producer_session import (
    ProducerLostError,
)
from common.kafka.producer import NO_TIME_MS
from tests.publish.bench import TOO_LARGE, Bench, FakeBroker, SentBatch, key_of
from tests.support.http import until


async def test_after_a_batch_failed_nothing_more_is_sent_that_could_overtake_it(bench: Bench) -> None:
    bench.accept(0)
    first = await bench.broker.until_sent(0)
    bench.accept(0)
    first.refuse(UnknownError.errno)
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match="a batch failed")
    assert len(bench.broker.sent) == 1


async def test_a_partition_that_is_not_confirmed_holds_up_the_others_for_a_moment_only(bench: Bench) -> None:
    bench.accept(0)
    bench.accept(1)
    stuck, confirmed = await bench.broker.until_sent(0), await bench.broker.until_sent(1)
    bench.accept(1)
    confirmed.confirm()  # And nothing else comes that would wake it.
    await bench.broker.until_sent(2)
    assert [one.partition for one in bench.broker.sent] == [0, 1, 1]
    assert not stuck.answer.done()


@pytest.mark.parametrize(("round_trip_s", "kibibytes"), [(0.005, ROUND_BYTES / 2048), (0.1, MAX_BATCH_BYTES / 1024)])
async def test_the_longer_kafka_takes_the_more_leaves_at_once(
    round_trip_s: float, kibibytes: float, bench: Bench
) -> None:
    for _ in range(200):
        bench.round_size.confirmed_after(round_trip_s)
    bench.accept(*[0, 1] * 300, value=b"x" * 1024)
    await bench.broker.until_sent(1)
    for sent in bench.broker.sent:
        assert kibibytes * 0.8 < len(sent.records) < kibibytes


async def test_a_batch_that_is_refused_narrows_the_search_until_one_record_is_found(bench: Bench) -> None:
    bench.accept(0, 0, 0, 0)
    (await bench.broker.until_sent(0)).refuse(TOO_LARGE)
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match="a batch of 4 records was refused")
    assert bench.search.batch_records == 2
    assert bench.search.found is None
    assert bench.search.pop_has_narrowed()


async def test_records_whose_times_are_refused_are_sent_without_and_keep_their_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept(0, 0)
    first = await bench.broker.until_sent(0)
    assert [record.timestamp for record in first.records] == [0, 0]
    first.refuse(InvalidTimestampError.errno)
    with pytest.raises(ExceptionGroup):
        await bench.task
    assert bench.search.found is None
    assert bench.search.pop_has_narrowed(), "the next producer begins at once"

    async def resumed() -> SentBatch:
        broker = FakeBroker()
        bench.session = bench.session_on(broker)
        bench.task = asyncio.ensure_future(bench.session.run())
        return await broker.until_sent(0)

    again = await resumed()
    assert [record.timestamp for record in again.records] == [NO_TIME_MS, NO_TIME_MS]
    assert [record.key for record in again.records] == [record.key for record in first.records]
    again.confirm()
    await bench.has_published.wait()
    assert bench.published == 2
    monkeypatch.setattr(rejection_search, "WITHOUT_TIMES_S", 0.0)
    bench.search.times_rejected()
    bench.accept(0)
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)
    assert [record.timestamp for record in (await resumed()).records] == [0], "after a while they have it again"


async def test_a_record_that_is_refused_for_its_time_without_one_is_looked_for_as_any_other(bench: Bench) -> None:
    bench.search.times_rejected()
    bench.accept(0)
    (await bench.broker.until_sent(0)).refuse(InvalidTimestampError.errno)
    await asyncio.gather(bench.task, return_exceptions=True)
    assert bench.search.found is not None


async def test_what_other_partitions_accept_in_the_same_answer_does_not_undo_the_search(bench: Bench) -> None:
    bench.broker.leaders = (1, 1)
    bench.accept(0, 0, 0, 0, 1)
    rejected, accepted = await bench.broker.until_sent(0), await bench.broker.until_sent(1)
    rejected.refuse(TOO_LARGE)
    accepted.confirm()
    await asyncio.gather(bench.task, return_exceptions=True)
    assert bench.search.batch_records == 2


async def test_a_session_that_is_lost_ends_though_publishing_waits_for_something_that_never_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept(0)
    first = await bench.broker.until_sent(0)

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.window, "lease", never)
    bench.session.wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.refuse(UnknownError.errno)
    with pytest.raises(ExceptionGroup) as lost:
        await asyncio.wait_for(bench.task, 60)
    assert lost.group_contains(ProducerLostError, match="a batch failed")


async def test_a_record_that_is_refused_alone_is_the_one_until_it_is_kept_elsewhere(bench: Bench) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).refuse(TOO_LARGE)
    await asyncio.gather(bench.task, return_exceptions=True)
    found = bench.search.found
    assert found is not None
    assert found.pending.record.key == key_of(0)
    bench.search.forget_found()
    assert bench.search.found is None


async def test_a_record_too_large_for_the_topic_goes_to_quarantine_and_those_behind_it_are_sent(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, max_message_bytes=2048)
    bench.accept(0, value=b"x" * 4096)
    bench.accept(0)
    (await bench.broker.until_sent(0)).confirm()
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert bench.journal.is_drained
    (size,) = bench.kept_bytes
    assert 4096 < size < 5000
    assert bench.published == 1
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_a_record_that_the_topic_takes_since_its_limit_was_raised_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_message_bytes=2048)
    bench.keeps_too_large = False
    bench.accept(0, value=b"x" * 4096)
    (await bench.broker.until_sent(0)).confirm()
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert (bench.kept_bytes, bench.published) == ([], 1)
    assert bench.journal.is_drained
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_what_a_lost_producer_had_in_flight_is_given_to_the_next_in_its_order(bench: Bench) -> None:
    bench.accept(0, 0)
    await bench.broker.until_sent(0)
    bench.accept(0)
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)
    second = FakeBroker()
    task = asyncio.ensure_future(bench.session_on(second).run())
    (await second.until_sent(0)).confirm()
    assert (second.sent[0].partition, len(second.sent[0].records)) == (0, 3)
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert bench.journal.is_drained
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_session_that_has_ended_leaves_memory_with_all_that_waits_in_it(bench: Bench) -> None:
    bench.broker.leaders = (None, None)  # So that its partitions rest, over and over.
    bench.accept(0, 1)
    async with asyncio.timeout(60):
        while not bench.broker.looked:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
    session = weakref.ref(bench.session)
    bench.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await bench.task
    del bench.session
    bench.task = asyncio.ensure_future(asyncio.sleep(0))  # The other knows what ended it, and where.
    await bench.task  # The event loop had the other at hand.
    gc.collect()
    assert session() is None


async def test_leaders_are_greeted_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.publish.producer_session.GREETING_INTERVAL_S", 0.001)
    bench = Bench(tmp_path)
    async with asyncio.timeout(60):
        while bench.broker.greeted < 2:  # noqa: ASYNC110 - it is counted by the fake
            await asyncio.sleep(0.001)
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


# -- Since when Kafka confirms nothing, and why ------------------------------------------------------------------------


@pytest.fixture
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that are made from now on ask whenever nothing else would tell."""
    monkeypatch.setattr("bridge.publish.hearing.PROBE_INTERVAL_S", 0.001)
    monkeypatch.setattr("bridge.publish.hearing.IDLE_INTERVAL_S", 0.0)


async def test_a_kafka_that_is_away_while_no_callback_comes_is_noticed_and_one_that_is_back_too(
    asked_at_once: None, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.publish.producer_session.SLOW_AFTER_S", 0.0)
    bench.broker.silence = KafkaError("the cable is out")
    await until(lambda: not bench.session.confirms)
    assert "the cable is out" in bench.session.problem
    bench.broker.silence = KafkaConnectionError("the connection is closed")
    asked = bench.broker.asked
    await until(lambda: bench.broker.asked > asked + 1)
    assert "the cable is out" in bench.session.problem, "the other says less"
    bench.broker.silence = None
    await until(lambda: bench.session.confirms)
    assert bench.session.problem == ""


async def test_what_was_sent_will_tell_and_nobody_is_asked_besides(asked_at_once: None, bench: Bench) -> None:
    await until(lambda: bench.broker.asked > 0)
    bench.accept(0)
    sent = await bench.broker.until_sent(0)
    asked = bench.broker.asked
    await asyncio.sleep(0.02)
    assert bench.broker.asked == asked
    sent.confirm()
    await until(lambda: bench.broker.asked > asked)


async def test_a_kafka_that_was_heard_a_moment_ago_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.publish.hearing.PROBE_INTERVAL_S", 0.001)
    monkeypatch.setattr("bridge.publish.hearing.IDLE_INTERVAL_S", 60.0)  # However late the machine is, it was just now.
    bench = Bench(tmp_path)
    await asyncio.sleep(0.05)
    assert bench.broker.asked == 0
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_a_session_in_which_nothing_is_heard_for_long_is_lost_though_nothing_is_sent(
    asked_at_once: None, bench: Bench
) -> None:
    bench.session._stall_s = 0.01
    bench.broker.silence = KafkaError("all brokers have other addresses now")
    with pytest.raises(ExceptionGroup) as lost:
        await bench.task
    assert lost.group_contains(ProducerLostError, match=r"no confirmation for .*: .*other addresses")


async def test_a_new_session_does_not_confirm_before_kafka_has_what_the_lost_one_was_owed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept(0)
    (await bench.broker.until_sent(0)).refuse(NotEnoughReplicasError.errno)
    monkeypatch.setattr("bridge.publish.producer_session.SLOW_AFTER_S", 0.0)
    await until(lambda: "min.insync.replicas" in bench.session.problem)
    assert not bench.session.confirms
    since = bench.session.unconfirmed_since
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)

    second = FakeBroker()
    bench.session = bench.session_on(second)
    task = asyncio.ensure_future(bench.session.run())
    first = await second.until_sent(0)
    assert (bench.session.confirms, bench.session.unconfirmed_since) == (False, since)
    first.confirm()
    await asyncio.wait_for(bench.has_published.wait(), 60)
    assert bench.session.unconfirmed_since is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_session_that_is_lost_while_kafka_confirms_leaves_the_next_one_nothing_to_make_up_for(
    bench: Bench,
) -> None:
    bench.accept(0)
    await bench.broker.until_sent(0)
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)
    assert bench.window.owed_since is None
