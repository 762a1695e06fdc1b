"""The worker of badges with a real Redis, and a Kafka that is slow."""

from __future__ import annotations

from typing import Any

import orjson

from consumers.badges import Badges
from consumers.badges.badge_event import read_badge_event
from consumers.badges.store import BadgeStore, Owner
from consumers.metrics import Metrics
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import NOON_MS, badge_event
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
            published.extend(orjson.loads(record.value) for record in records)

    worker = Badges()
    settings = ConsumersSettings.model_validate({"redis_url": redis_server.url})
    await worker.start(Context(settings, SlowKafka(), Metrics("badges")))  # type: ignore[arg-type]
    event = read_badge_event(orjson.dumps(badge_event("b", "ann", time=NOON_MS - 1, app=owner.app_id)))
    assert event is not None
    await worker.handle([event])
    await worker.stop()
    assert [(badge["unread"], badge["stale"]) for badge in published] == [(None, True), (5, False)]
