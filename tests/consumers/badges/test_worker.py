"""The worker of badges with a real Redis, and a Kafka that is slow."""

from __future__ import annotations

from typing import Any

import orjson
from aiokafka import ConsumerRecord

from consumers.badges import Badges
from consumers.badges.badge_event import read_badge_event
from consumers.badges.store import BadgeStore, Owner
from consumers.metrics import Metrics
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import NOON_MS, badge_event
from tests.support.badges import FakeTopic
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
