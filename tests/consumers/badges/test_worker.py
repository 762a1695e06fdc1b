"""The worker of badges with a real Redis, and a Kafka that is slow."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord

from consumers.badges import Badges
from consumers.badges.badge_event import read_badge_event
from consumers.badges.store import Badge, BadgeStore, Owner
from consumers.metrics import Metrics
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import NOON_MS, badge_event
from tests.support.badge_worker import BadgeWorker, take
from tests.support.badges import FakeTopic
from tests.support.http import until
from tests.support.redis import RedisServer


async def test_the_topic_ends_with_the_resolved_badge_although_the_worker_was_slow_to_publish_the_stale_one(
    store: BadgeStore, redis_server: RedisServer
) -> None:
    owner = Owner("1400300000", "ann")
    published: list[dict[str, Any]] = []

    class SlowKafka:
        """Confirms the first record only when `reconcile` has resolved the badge."""

        async def publish(self, _topic: str, records: list[OutgoingRecord]) -> None:
            if not published:
                stale = StaleBadges(store)
                assert await stale.resolve(owner, await stale.snapshot(owner), 5)
            published.extend(orjson.loads(record.value or b"") for record in records)

    worker = Badges(source=FakeTopic())
    settings = ConsumersSettings.model_validate({"redis_url": redis_server.url})
    await worker.start(Context(settings, SlowKafka(), Metrics("badges")))  # type: ignore[arg-type]
    event = read_badge_event(orjson.dumps(badge_event("b", "ann", time=NOON_MS - 1, app=owner.app_id)))
    assert event is not None
    await worker.handle([event])
    await worker.stop()
    assert [(badge["unread"], badge["stale"]) for badge in published] == [(None, True), (5, False)]


async def test_the_record_of_a_badge_belongs_to_the_trace_of_the_event_that_it_was_made_of(
    store: BadgeStore, redis_server: RedisServer
) -> None:
    written: list[OutgoingRecord] = []

    class Kafka:
        async def publish(self, _topic: str, records: list[OutgoingRecord]) -> None:
            written.extend(records)

    def record(offset: int, account: str, *headers: tuple[str, bytes]) -> ConsumerRecord:
        value = orjson.dumps(badge_event(f"e{offset}", account, 3, time=NOON_MS + offset))
        return ConsumerRecord("im.events", 0, offset, 1, 0, account.encode(), value, None, 0, 0, headers)

    trace = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=b")]
    older = ("traceparent", b"00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    worker = Badges(source=FakeTopic())
    settings = ConsumersSettings.model_validate({"redis_url": redis_server.url})
    await worker.start(Context(settings, Kafka(), Metrics("badges")))  # type: ignore[arg-type]
    records = [record(0, "traced", older), record(1, "traced", *trace), record(2, "other", ("traceparent", b"none"))]
    await worker.handle([event for one in records if (event := worker.read(one)) is not None])
    await worker.stop()
    plain = ("content-type", b"application/json")
    assert {one.key.partition(b":")[2]: [*one.headers] for one in written} == {
        b"traced": [plain, *trace],
        b"other": [plain],
    }


async def test_a_badge_whose_writing_was_given_up_is_followed_by_the_newest(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partition had to be given back while Kafka was slow, and Kafka takes the record when another has it."""
    published: list[Badge] = []
    ours, successor = [await BadgeWorker(redis_server.url).start() for _ in range(2)]
    name = "given-up"

    waiting: list[OutgoingRecord] = []

    async def take_late(_topic: str, records: list[OutgoingRecord]) -> None:
        """Keep Kafka from taking the first record until the next ones come."""
        waiting.extend(records)
        if len(waiting) == 1:
            await asyncio.Event().wait()
        await take(published, waiting)
        waiting.clear()

    async def handle(worker: BadgeWorker, number: int) -> None:
        event = read_badge_event(orjson.dumps(badge_event(f"e{number}", name, number, time=NOON_MS + number)))
        assert event is not None
        await worker.worker.handle([event])

    monkeypatch.setattr(ours.context.producer, "publish", take_late)
    writing = asyncio.create_task(handle(ours, 1))
    await until(lambda: bool(waiting))
    writing.cancel()
    await asyncio.wait({writing})
    assert writing.cancelled()
    await handle(successor, 2)
    await ours.worker.probe()
    assert [badge.unread for badge in published] == [1, 2]
    await ours.worker.probe()
    assert len(published) == 2
    for worker in (ours, successor):
        await worker.worker.stop()
