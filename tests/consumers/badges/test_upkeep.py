"""Badges that are old leave, and badges in another form or in another Redis are brought over, while events come."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from consumers.badges.expiry import expire_badges
from consumers.badges.migration import MigrationProgress, migrate
from consumers.badges.store import BadgeStore, Owner
from consumers.metrics import Metrics
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import APP, badge_event, expected
from tests.support.badges import BadgeTraffic, apply_events
from tests.support.redis import RedisServer

DAY_MS = 86_400_000
BEFORE = {
    "stale": "1",
    "stale_time": "1790000002000",
    "stale_id": "f" * 32,
    "seen": " one two ",
    "unread": "3",
    "time": "1790000001000",
    "event_id": "e" * 32,
}
"""A badge as versions before have written it."""


def make_store(server: RedisServer, **settings: Any) -> BadgeStore:
    return BadgeStore(ConsumersSettings.model_validate({"redis_url": server.url, **settings}))


class TombstoneTopic:
    """Takes records, and does something while it is written to."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.meanwhile: list[dict[str, Any]] = []
        self.store: BadgeStore

    async def publish(self, _topic: str, records: list[OutgoingRecord]) -> None:
        self.records += records
        if self.meanwhile:
            await apply_events(self.store, self.meanwhile.pop())


def context_of(server: RedisServer, topic: TombstoneTopic, days: int) -> Context:
    settings = ConsumersSettings.model_validate({"redis_url": server.url, "badge_ttl_days": days})
    return Context(settings, topic, Metrics("badges"), alone=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["hash", "packed"])
async def test_badges_without_an_event_for_so_long_leave_redis_and_get_a_tombstone(
    own_redis: RedisServer, layout: str
) -> None:
    store, topic, now = make_store(own_redis, badge_layout=layout), TombstoneTopic(), int(time.time() * 1000)
    await apply_events(
        store,
        badge_event("a", "old", 3, time=now - 9 * DAY_MS, received=now),
        badge_event("b", "old-and-stale", time=now - 9 * DAY_MS, received=now),
        badge_event("c", "new", 4, time=now - 7 * DAY_MS, received=now),
    )
    assert await expire_badges(context_of(own_redis, topic, 8), store) == 2
    assert {record.key for record in topic.records} == {f"{APP}:old".encode(), f"{APP}:old-and-stale".encode()}
    assert all(record.value is None for record in topic.records)
    assert [badge.account for name in ("old", "old-and-stale", "new") for badge in await store.find(name, APP)] == [
        "new"
    ]
    assert await StaleBadges(store).count(APP) == 0
    await store.close()


async def test_a_badge_that_an_event_changes_while_it_leaves_stays_and_is_published_again(
    own_redis: RedisServer,
) -> None:
    store, topic, now = make_store(own_redis), TombstoneTopic(), int(time.time() * 1000)
    await apply_events(store, badge_event("a", "ann", 3, time=now - 9 * DAY_MS, received=now))
    topic.store, topic.meanwhile = store, [badge_event("b", "ann", 5, time=now, received=now)]
    assert await expire_badges(context_of(own_redis, topic, 8), store) == 0
    assert [badge.unread for badge in await store.find("ann", APP)] == [5]
    assert topic.records[-1].value is not None
    await store.close()


@pytest.mark.parametrize("layout", ["hash", "packed"])
async def test_a_badge_of_a_version_before_is_read_and_written_anew_when_it_is_touched(
    own_redis: RedisServer, layout: str
) -> None:
    store = make_store(own_redis, badge_layout=layout)
    with redis.Redis(port=own_redis.port) as admin:
        admin.hset(f"im:badge:{APP}:ann", mapping=dict(BEFORE))
    [badge] = await store.find("ann", APP)
    assert (badge.unread, badge.event_id, badge.stale) == (3, "e" * 32, True)
    known = badge_event("one", "ann", 9, received=1790000005000)
    await apply_events(store, known)
    assert await store.find("ann", APP) == [badge], "the callback is known again"
    await apply_events(store, badge_event("a", "ann", 4, time=1790000003000))
    [after] = await store.find("ann", APP)
    assert (after.unread, after.stale) == (4, False)
    with redis.Redis(port=own_redis.port) as admin:
        assert admin.type(f"im:badge:{APP}:ann") == {"hash": b"hash", "packed": b"string"}[layout]
        if layout == "hash":
            assert {b"stale_time", b"stale_id", b"seen"}.isdisjoint(admin.hkeys(f"im:badge:{APP}:ann"))
    await apply_events(store, known)
    assert await store.find("ann", APP) == [after]
    await store.close()


@pytest.mark.parametrize(("before", "after"), [("hash", "packed"), ("packed", "hash")])
async def test_a_migration_writes_all_badges_in_the_layout_of_the_settings(
    own_redis: RedisServer, before: str, after: str
) -> None:
    traffic = BadgeTraffic("layout")
    first, then = make_store(own_redis, badge_layout=before), make_store(own_redis, badge_layout=after)
    for event in traffic.make(300):
        await apply_events(first, event)
    progress = MigrationProgress()
    await migrate(then, None, progress, lambda _: None)
    accounts = expected(traffic.events)
    assert progress.written == len(accounts)
    await migrate(then, None, progress, lambda _: None)
    assert progress.written == 0, "what is written is not written again"
    for event in traffic.make(300):
        await apply_events(then, event)
    await assert_badges(then, traffic)
    await first.close()
    await then.close()


async def test_badges_are_brought_from_another_redis_while_events_are_handled_in_both(
    own_redis: RedisServer, redis_server: RedisServer
) -> None:
    traffic = BadgeTraffic("brought")
    source, store = make_store(redis_server), make_store(own_redis, badge_layout="packed")
    await apply_events(source, *traffic.make(300))
    await apply_events(store, *traffic.make(50))
    await migrate(store, source, MigrationProgress(), lambda _: None)
    await apply_events(store, *traffic.make(50))
    await migrate(store, source, MigrationProgress(), lambda _: None)
    await assert_badges(store, traffic)
    stale = [name for name, badge in expected(traffic.events).items() if badge["stale"]]
    assert await StaleBadges(store).count(APP) >= len(stale)
    await source.close()
    await store.close()


async def assert_badges(store: BadgeStore, traffic: BadgeTraffic) -> None:
    right = expected(traffic.events)
    found = await store.update({Owner(APP, account): [] for account in right})
    assert {
        one.account: {"unread": one.unread, "time": one.time, "event_id": one.event_id, "stale": one.stale}
        for one in found
    } == right
