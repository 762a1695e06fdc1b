"""What the topic has of a span of time, read from a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from common.kafka.producer import NO_TIME_MS
from consumers.backfill.known_messages import FoundIn, KnownMessages
from consumers.backfill.topic_index import CLOCK_SLACK_S, NEAR_S, TopicIndex
from consumers.backfill.topic_messages import message_in_event
from consumers.errors import WorkerRefusedError
from consumers.settings import ConsumersSettings
from tests.consumers.backfill.stand_ins import START_S, c2c_line, callback_event
from tests.support.broker import Broker
from tests.support.callbacks import APP_ID
from tests.support.topic import Topics


@pytest.fixture
def known(tmp_path: Path) -> Iterator[KnownMessages]:
    with KnownMessages(tmp_path) as found:
        yield found


def index_of(known: KnownMessages, broker: Broker, topics: Topics) -> TopicIndex:
    names = {"topic": topics.events, "dlq_topic": topics.dlq, "badges_topic": topics.badges}
    settings = ConsumersSettings.model_validate({"kafka_bootstrap_servers": broker.bootstrap, **names})
    return TopicIndex(settings, known, start_s=START_S, end_s=START_S + 3600)


def write(broker: Broker, topic: str, *records: tuple[int | None, bytes]) -> None:
    """Records with the second that each carries, all in one partition."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    for second, value in records:
        producer.produce(topic, value, key=b"k", partition=0, timestamp=NO_TIME_MS if second is None else second * 1000)
    assert producer.flush(60) == 0


def is_known(known: KnownMessages, value: bytes) -> FoundIn | None:
    found = message_in_event(value)
    assert found is not None
    return known.find(found.keys).get(found.keys[0])


async def test_what_was_received_in_time_and_written_late_is_found(
    broker: Broker, topics: Topics, known: KnownMessages
) -> None:
    topics.create(broker.bootstrap)
    before, drained, now, letter = (callback_event(c2c_line(number)) for number in range(4))
    early = START_S - NEAR_S - CLOCK_SLACK_S
    write(broker, topics.events, (early - 100, before), (early - 1, b"{"))
    write(broker, topics.events, (START_S + 50_000, now), (early, drained), (START_S + 60_000, b"{"))
    write(broker, topics.dlq, (START_S, letter))
    index = index_of(known, broker, topics)
    try:
        await index.catch_up()
        assert (is_known(known, now), is_known(known, drained)) == (FoundIn.TOPIC, FoundIn.TOPIC)
        assert (is_known(known, before), is_known(known, letter)) == (None, FoundIn.LETTER)
        later = callback_event(c2c_line(9))
        write(broker, topics.events, (START_S + 70_000, later))
        assert is_known(known, later) is None
        await index.catch_up()
        assert is_known(known, later) is FoundIn.TOPIC
    finally:
        await index.close()


@pytest.mark.parametrize("is_followed", [True, False])
async def test_what_was_written_without_a_time_is_found(
    is_followed: bool, broker: Broker, topics: Topics, known: KnownMessages
) -> None:
    """As the bridge writes while its clock is ahead of the broker's."""
    topics.create(broker.bootstrap)
    timeless = callback_event(c2c_line(1))
    write(broker, topics.events, (START_S - 80_000, b"{}"))
    write(broker, topics.events, (None, timeless))
    if is_followed:
        write(broker, topics.events, (START_S + 50_000, b"{}"))
    index = index_of(known, broker, topics)
    try:
        await index.catch_up()
        assert is_known(known, timeless) is FoundIn.TOPIC
    finally:
        await index.close()


async def test_messages_of_other_times_take_no_room_until_one_is_asked_for(
    broker: Broker, topics: Topics, known: KnownMessages
) -> None:
    topics.create(broker.bootstrap)
    far = callback_event(c2c_line(1, MsgTimestamp=START_S - 80_000))
    write(broker, topics.events, (START_S - 80_000, far), (START_S, far))
    index = index_of(known, broker, topics)
    try:
        await index.catch_up()
        assert len(known) == 0
        assert not index.covers(START_S - 80_000)
        await index.widen()
        assert index.covers(START_S - 80_000)
        assert is_known(known, far) is FoundIn.TOPIC
    finally:
        await index.close()


async def test_the_form_of_an_apps_callbacks_is_that_of_the_last_ones(
    broker: Broker, topics: Topics, known: KnownMessages
) -> None:
    topics.create(broker.bootstrap)
    old, new = callback_event(c2c_line(1)), callback_event(c2c_line(2), SendMsgResult=None)
    write(broker, topics.events, (START_S, old), (START_S, new))
    index = index_of(known, broker, topics)
    try:
        assert index.form(APP_ID).has_result, "the newest page, before anything was read"
        await index.catch_up()
        assert not index.form(APP_ID).has_result
    finally:
        await index.close()


async def test_a_topic_that_is_not_there_is_told(broker: Broker, topics: Topics, known: KnownMessages) -> None:
    index = index_of(known, broker, topics)
    try:
        with pytest.raises(WorkerRefusedError, match="CONSUMERS_TOPIC"):
            await index.catch_up()
    finally:
        await index.close()


def delete_records(broker: Broker, topic: str, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for deleted in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        deleted.result(timeout=60)


@pytest.mark.parametrize(
    ("kept", "is_kept"),
    [
        (5, True),
        (2, False),
        (0, False),
    ],
    ids=["all", "some", "none"],
)
async def test_a_partition_that_has_lost_records_of_the_span_is_told_also_where_it_has_lost_all(
    broker: Broker, topics: Topics, known: KnownMessages, kept: int, is_kept: bool
) -> None:
    topics.create(broker.bootstrap)
    events = [callback_event(c2c_line(number)) for number in range(5)]
    write(broker, topics.events, *((START_S + number, event) for number, event in enumerate(events)))
    if kept < 5:
        delete_records(broker, topics.events, 5 - kept)
    index = index_of(known, broker, topics)
    try:
        await index.catch_up()
        assert index.is_kept_since(START_S) == is_kept
        assert ("since" in index.kept_since) != is_kept
    finally:
        await index.close()


async def test_what_is_deleted_between_two_looks_is_told(broker: Broker, topics: Topics, known: KnownMessages) -> None:
    topics.create(broker.bootstrap)
    index = index_of(known, broker, topics)
    try:
        await index.catch_up()
        assert index.is_kept_since(START_S)
        write(broker, topics.events, *((START_S + 10 + at, callback_event(c2c_line(at))) for at in range(4)))
        delete_records(broker, topics.events, 2)
        await index.catch_up()
        assert not index.is_kept_since(START_S)
    finally:
        await index.close()
