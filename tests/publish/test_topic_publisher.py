"""What becomes of a record that Kafka refuses for good, and how large one may be."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import UnknownError

from bridge.journal.groups import GroupState, PendingRecord
from bridge.journal.journal import Journal
from bridge.journal.record import Record
from bridge.publish.pacing import Arrivals
from bridge.publish.producer_session import ConnectedProducer
from bridge.publish.quarantine import Quarantine
from bridge.publish.topic_publisher import LIMIT_FRESH_S, TopicPublisher
from bridge.settings import BridgeSettings
from common.logs import Throttle
from tests.publish.bench import FakeBroker
from tests.support.outlet import ToldOutlet

RECORD = Record("im.events", b"ann", b"x" * 1000, [], 5)


class Place:
    """A publisher without a producer, its journal and its quarantine."""

    def __init__(self, folder: Path) -> None:
        settings = BridgeSettings.model_validate({"apps": {"1": ["token"]}, "journal_dir": folder})
        self.journal = Journal.from_settings(settings, outlet=ToldOutlet())
        self.quarantine = Quarantine(folder, dlq_topic=settings.dlq_topic, max_bytes=1500)
        queue = self.journal.queue(RECORD.topic)
        self.publisher = TopicPublisher(
            queue, self.journal, self.quarantine, settings, arrivals=Arrivals(), throttle=Throttle()
        )
        self.replies: list[bool] = []

    async def leased(self) -> PendingRecord:
        """A record that was appended, and is to be sent."""
        self.journal.append(RECORD, self.replies.append)
        self.journal.flush()
        group = await self.publisher._window.lease()
        assert group is not None
        return group.records[0]

    async def refuse(self) -> None:
        """Kafka refuses the next record for good."""
        await self.publisher._put_in_quarantine(await self.leased(), "too large")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    await made.journal.start()
    yield made
    await made.journal.stop(10.0)


async def test_what_is_beyond_the_budget_of_the_quarantine_counts_as_the_journals(place: Place) -> None:
    await place.refuse()
    assert place.journal.budget.elsewhere_bytes == 0
    await place.refuse()
    assert place.replies == [True, True]
    assert place.quarantine.counted().files == 2
    assert place.journal.budget.elsewhere_bytes == place.quarantine.excess_bytes > 0
    assert place.journal.fraction_used > 0


async def test_where_there_is_no_room_at_all_who_was_not_answered_yet_is_refused(place: Place) -> None:
    place.journal.budget.elsewhere_bytes = place.journal.budget.max_bytes
    assert not place.journal.disk_ok
    assert "BRIDGE_JOURNAL_MAX_BYTES" in place.journal.disk_problem
    await place.refuse()
    assert place.replies == [False]
    assert place.quarantine.counted().files == 0
    assert not place.publisher._window.groups


async def test_where_there_is_no_room_at_all_what_was_acknowledged_is_kept(place: Place) -> None:
    pending = await place.leased()
    place.journal._files.add(pending.group)
    pending.group.become(GroupState.SYNCED)
    place.journal.budget.elsewhere_bytes = place.journal.budget.max_bytes
    await place.publisher._put_in_quarantine(pending, "too large")
    assert place.quarantine.counted().files == 1


async def test_what_the_disk_does_not_take_is_not_sent_again_and_kept_when_it_does(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "refused").touch()
    pending = await place.leased()
    await place.publisher._put_in_quarantine(pending, "too large")
    assert (pending.is_passed_over, pending.confirmed, place.replies) == (True, False, [])
    (tmp_path / "refused").unlink()
    (trying,) = place.publisher._set_aside
    await asyncio.wait_for(trying, 30)
    assert (pending.confirmed, place.replies) == (True, [True])
    assert place.quarantine.counted().files == 1


async def test_the_largest_record_is_what_the_topic_takes_as_far_as_the_broker_told(place: Place) -> None:
    unknown = place.publisher.max_record_bytes
    place.publisher._max_message_bytes = 1_000_000
    assert (unknown, place.publisher.max_record_bytes) == (None, 999_488)


async def test_the_broker_is_asked_again_when_a_record_is_too_large_and_not_for_each_of_many(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    limits = iter([2048, 1_000_000, None])

    async def max_message_bytes(_: object, topic: str) -> int | None:
        asked.append(topic)
        return next(limits)

    monkeypatch.setattr("bridge.publish.topic_publisher.max_message_bytes", max_message_bytes)
    place.publisher._limit_asked_at = -LIMIT_FRESH_S
    pending = await place.leased()
    assert [await place.publisher._keep_too_large(pending, 4096) for _ in range(10)] == [True] * 10
    assert len(asked) == 1
    for _ in range(2):
        place.publisher._limit_asked_at = -LIMIT_FRESH_S
        assert not await place.publisher._keep_too_large(pending, 4096)
    assert place.publisher.max_record_bytes is None


class AbandonableBroker(FakeBroker):
    """One that can be given up."""

    async def abandon(self) -> None:
        """It is sent nothing any more."""


async def test_a_producer_that_was_lost_leaves_memory_when_the_next_has_connected(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = [AbandonableBroker(), AbandonableBroker()]
    coming = iter(brokers)

    async def connect() -> ConnectedProducer:
        broker: Any = next(coming)
        return ConnectedProducer(broker, RECORD.topic, 1, None)

    monkeypatch.setattr(place.publisher, "_start_producer", connect)
    place.journal.append(RECORD)
    place.journal.flush()
    running = asyncio.get_running_loop().create_task(place.publisher.run())
    batch = await brokers[0].until_sent(0)
    session = place.publisher._session
    assert session is not None
    lost = weakref.ref(session)
    del session
    gc.disable()  # Who collects is the publisher.
    try:
        batch.refuse(UnknownError.errno)
        await brokers[1].until_sent(0)
        assert lost() is None
    finally:
        gc.enable()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
