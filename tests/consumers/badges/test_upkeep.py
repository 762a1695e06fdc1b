"""Badges that are old leave, and badges in another form or in another Redis are brought over, while events come."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import redis

from consumers.badges.badge_topic import PublishedBadge
from consumers.badges.expiry import expire_badges
from consumers.badges.migration import MigrationProgress, migrate
from consumers.badges.publishing import publish_latest
from consumers.badges.restoration import Restoration
from consumers.badges.slots import SLOTS
from consumers.badges.store import Badge, BadgeStore, Owner
from consumers.errors import RetryLater
from consumers.metrics import Metrics
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import APP, NOON_MS, badge_event, expected
from tests.support.badges import BadgeTraffic, FakeTopic, apply_events
from tests.support.redis import RedisServer
from tests.support.resp_proxy import RespProxy, refuse_several_slots

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


class CrossedTopic(TombstoneTopic):
    """Does something of another process before it takes the first records."""

    def __init__(self, first: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._first: Callable[[], Awaitable[object]] | None = first

    async def publish(self, topic: str, records: list[OutgoingRecord]) -> None:
        first, self._first = self._first, None
        if first is not None:
            await first()
        await super().publish(topic, records)


def make_restoration(store: BadgeStore, source: FakeTopic, *, ttl_days: int) -> Restoration:
    async def publish(badges: Sequence[Badge]) -> None:
        source.badges += [PublishedBadge(one.owner, one, None, 0) for one in badges]

    return Restoration(store, source, topic="im.badges", ttl_days=ttl_days, publish=publish)


async def put_back(restoration: Restoration) -> None:
    """Wait until nothing is lost any more, as the worker does it."""
    while True:
        try:
            restoration.require()
        except RetryLater:
            await asyncio.sleep(0.01)
            await restoration.look_again()
        else:
            break


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


async def test_a_key_whose_bytes_are_no_text_holds_up_no_upkeep(own_redis: RedisServer) -> None:
    store, topic, now = make_store(own_redis), TombstoneTopic(), int(time.time() * 1000)
    with redis.Redis(port=own_redis.port) as admin:
        admin.hset(f"im:badge:{APP}:".encode() + b"\xff", "stale", "0")
    await apply_events(store, badge_event("a", "old", 3, time=now - 9 * DAY_MS, received=now))
    await migrate(store, None, MigrationProgress(), lambda _: None)
    assert await expire_badges(context_of(own_redis, topic, 8), store) == 1
    assert {record.key for record in topic.records} == {f"{APP}:old".encode()}
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


async def test_a_badge_that_an_old_event_changes_while_it_leaves_stays_until_the_next_pass(
    own_redis: RedisServer,
) -> None:
    store, topic, now = make_store(own_redis), TombstoneTopic(), int(time.time() * 1000)
    context = context_of(own_redis, topic, 8)
    await apply_events(store, badge_event("a", "ann", 3, time=now - 10 * DAY_MS, received=now))
    topic.store, topic.meanwhile = store, [badge_event("b", "ann", 5, time=now - 9 * DAY_MS, received=now)]
    assert await expire_badges(context, store) == 0
    assert [badge.unread for badge in await store.find("ann", APP)] == [5]
    assert await expire_badges(context, store) == 1
    assert await store.find("ann", APP) == []
    gone = [record.value is None for record in topic.records]
    assert gone[:3] == [True, False, True], "Redis and the topic are the same"
    assert all(gone[2:])
    await store.close()


async def test_a_badge_that_leaves_before_it_comes_to_the_topic_is_taken_back(own_redis: RedisServer) -> None:
    store, now = make_store(own_redis), int(time.time() * 1000)
    topic = CrossedTopic(lambda: expire_badges(context, store))
    context = context_of(own_redis, topic, 8)
    await apply_events(store, badge_event("a", "ann", 3, time=now - 9 * DAY_MS, received=now))
    await publish_latest(context, store, await store.find("ann", APP))
    assert await store.find("ann", APP) == []
    assert any(record.value for record in topic.records)
    assert topic.records[-1].value is None
    await store.close()


async def test_a_badge_that_comes_to_the_topic_between_its_tombstone_and_its_removal_is_taken_back(
    own_redis: RedisServer,
) -> None:
    store, now = make_store(own_redis), int(time.time() * 1000)
    topic = TombstoneTopic()
    await apply_events(store, badge_event("a", "ann", 3, time=now - 9 * DAY_MS, received=now))

    async def publish(name: str, records: list[OutgoingRecord]) -> None:
        await TombstoneTopic.publish(topic, name, records)
        if len(topic.records) == 1:
            await publish_latest(context_of(own_redis, topic, 8), store, await store.find("ann", APP))

    topic.publish = publish  # type: ignore[method-assign,assignment]
    assert await expire_badges(context_of(own_redis, topic, 8), store) == 1
    assert any(record.value for record in topic.records)
    assert topic.records[-1].value is None
    await store.close()


async def test_a_badge_that_was_let_go_is_no_loss(own_redis: RedisServer) -> None:
    store, now = make_store(own_redis), int(time.time() * 1000)
    restoration = make_restoration(store, FakeTopic(), ttl_days=8)
    await apply_events(store, badge_event("a", "ann", 3, time=now - 9 * DAY_MS, received=now))
    await apply_events(store, badge_event("b", "bob", 3, time=now - 7 * DAY_MS, received=now))
    restoration.written([*await store.find("ann", APP), *await store.find("bob", APP)])
    assert await expire_badges(context_of(own_redis, TombstoneTopic(), 8), store) == 1
    await restoration.look_again()
    assert await store.losses() == {}
    with redis.Redis(port=own_redis.port) as admin:
        admin.delete(f"im:badge:{APP}:bob")
    await restoration.look_again()
    assert await store.losses() != {}
    await store.close()


async def test_a_badge_that_was_let_go_is_no_loss_for_those_who_keep_all(own_redis: RedisServer) -> None:
    """As where CONSUMERS_BADGE_TTL_DAYS went back to 0, or where somebody ran `consumers badge expire`."""
    store, now, topic = make_store(own_redis), int(time.time() * 1000), FakeTopic()
    restoration = make_restoration(store, topic, ttl_days=0)
    await apply_events(store, badge_event("a", "ann", 3, time=now - 9 * DAY_MS, received=now))
    await apply_events(store, badge_event("b", "bob", 3, time=now - 7 * DAY_MS, received=now))
    found = [*await store.find("ann", APP), *await store.find("bob", APP)]
    restoration.written(found)
    for one in found:
        topic.add(one, now)
    assert await expire_badges(context_of(own_redis, TombstoneTopic(), 8), store) == 1
    topic.let_go(Owner(APP, "ann"), now + 1)
    await restoration.look_again()
    await restoration.look()
    assert await store.losses() == {}
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    await store.note_loss([Owner(APP, "bob")])
    await put_back(restoration)
    assert await store.find("bob", APP) == found[1:]
    assert await store.find("ann", APP) == [], "Redis is as the topic is, whose last word is that the badge is gone"
    await store.close()


async def test_a_badge_that_came_again_after_it_was_let_go_is_put_back(own_redis: RedisServer) -> None:
    store, now, topic = make_store(own_redis), int(time.time() * 1000), FakeTopic()
    restoration = make_restoration(store, topic, ttl_days=0)
    await apply_events(store, badge_event("a", "ann", 3, time=now - 9 * DAY_MS, received=now))
    [before] = await store.find("ann", APP)
    await apply_events(store, badge_event("b", "ann", 4, time=now - 8 * DAY_MS, received=now))
    [after] = await store.find("ann", APP)
    topic.add(before, now)
    topic.let_go(Owner(APP, "ann"), now + 1)
    topic.add(after, now + 2)
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    await store.note_loss([Owner(APP, "ann")])
    await put_back(restoration)
    assert await store.find("ann", APP) == [after]
    await store.close()


@pytest.mark.slow
async def test_a_migration_leaves_no_keys_as_a_server_of_another_kind_has_them(
    own_redis: RedisServer,
) -> None:
    async with RespProxy(own_redis.port) as proxy:
        proxy.judge = refuse_several_slots
        as_proxy = BadgeStore(ConsumersSettings.model_validate({"redis_url": proxy.url}))
        as_single = make_store(own_redis)
        await apply_events(as_single, badge_event("a", "ann", time=NOON_MS, received=NOON_MS + 1))
        for store, states in ((as_proxy, SLOTS), (as_single, 1)):
            await store.begin(lost=False)
            await migrate(store, None, MigrationProgress(), lambda _: None)
            with redis.Redis(port=own_redis.port) as admin:
                assert len(admin.keys("im:badges:stale:*")) == 1
                assert len(admin.keys("im:badges:state*")) == states
                assert admin.exists("im:badges:begun") == (states > 1)
            assert await StaleBadges(store).count(APP) == 1
            await StaleBadges(store).postpone(Owner(APP, "ann"), jitter=1)
        with redis.Redis(port=own_redis.port) as admin:
            assert admin.keys("im:badges:failed:*") == [f"im:badges:failed:{APP}".encode()]
        await as_proxy.close()
        await as_single.close()


async def test_a_badge_can_be_read_by_clients_that_take_all_for_text(own_redis: RedisServer) -> None:
    store = make_store(own_redis)
    events = [badge_event(f"e{number}", "ann", number, received=NOON_MS + number) for number in range(20)]
    await apply_events(store, *events)
    with redis.Redis(port=own_redis.port, decode_responses=True) as client:
        stored = client.hgetall(f"im:badge:{APP}:ann")
    known = "".join(stored.pop(name) for name in "klm")
    assert (
        known
        == b"".join(
            base64.b64encode(hashlib.sha1(event["id"].encode()).digest()[:6]) for event in events[-16:]
        ).decode()
    )
    assert stored == {"unread": "19", "time": str(NOON_MS + 19), "event_id": "e19", "stale": "0"}
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
