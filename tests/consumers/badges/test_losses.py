"""What Redis has lost is missed, by whoever looks, and comes back as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import pytest
import redis

from consumers.badges.badge_event import BadgeEvent
from consumers.badges.badge_topic import PublishedBadge
from consumers.badges.store import Badge, Owner
from consumers.errors import RetryLater
from consumers.reconcile.stale import StaleBadges
from consumers.worker import OutgoingRecord
from tests.support.badge_model import APP
from tests.support.badge_worker import BadgeWorker, copy_of, now_ms, take
from tests.support.redis import RedisServer, evict
from tests.support.resp_proxy import RespProxy, refuse_several_slots


async def test_what_was_written_before_the_loss_was_noticed_is_written_again(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is there, and of the badges none: the first late event makes an older badge, which is published."""
    published: list[Badge] = []
    badges = await BadgeWorker(own_redis.url).start()
    monkeypatch.setattr(badges.context.producer, "publish", lambda _topic, records: take(published, records))
    now = now_ms(own_redis)
    newest = await badges.handle("new", 7, now - 60_000)
    badges.topic.add(newest, now - 1000)
    with redis.Redis(port=own_redis.port) as admin:
        admin.delete(f"im:badge:{APP}:ann")
    badges.worker._restoration._written.clear()  # As where so many others were written since.
    older = await badges.handle("late", 3, now - 61_000)
    badges.topic.add(older, now)
    badges.worker._restoration._seen_topic_after = None
    await badges.worker._store.note_loss([Owner(APP, "ann")])
    await badges.until_it_passes(badges.worker.probe)
    assert await badges.badge() == newest
    assert published[-2:] == [older, newest]
    await badges.worker.stop()


async def test_that_updates_of_others_are_lost_is_noticed_after_another_server_took_over(
    own_redis: RedisServer, proxy: RespProxy
) -> None:
    """Two processes count one generation: that of one may be passed by the other's updates after the data went back."""
    first, second = [await BadgeWorker(proxy.url).start() for _ in range(2)]
    now, key, state = now_ms(own_redis) - 60_000, f"im:badge:{APP}:ann", "im:badges:state"
    await second.handle("old", 2, now)
    with redis.Redis(port=own_redis.port) as admin:
        copies = {one: copy_of(admin, one) for one in (key, state)}
        newest = await first.handle("new", 7, now + 1000)
        for worker in (first, second):
            worker.topic.add(newest, now + 2000)
        first.worker._restoration._written.clear()
        for one, copy in copies.items():
            admin.restore(one, 0, copy, replace=True)
    proxy.answers = {"EVALSHA": "READONLY You can't write against a read only replica."}
    with pytest.raises(RetryLater):
        await second.worker.probe()
    proxy.answers = {}
    assert await second.handle("late", 3, now + 500) == newest
    for worker in (first, second):
        await worker.worker.stop()


@pytest.mark.parametrize("put_back", [False, True], ids=["emptied", "put back to older data"])
async def test_what_redis_loses_while_a_badge_is_written_is_not_written(own_redis: RedisServer, put_back: bool) -> None:
    """A stale badge is read again after it was written; what is read then may be nothing, or older."""
    published: list[Badge] = []
    badges = await BadgeWorker(own_redis.url).start()
    now, key = now_ms(own_redis) - 60_000, f"im:badge:{APP}:ann"
    await badges.handle("old", 2, now)
    with redis.Redis(port=own_redis.port) as admin:
        before = copy_of(admin, key) if put_back else None
        await badges.handle("new", 7, now + 1000)

        async def take_and_lose(_topic: str, records: list[OutgoingRecord]) -> None:
            await take(published, records)
            admin.delete(key)
            if before is not None:
                admin.restore(key, 0, before)

        badges.context.producer.publish = take_and_lose  # type: ignore[assignment, method-assign]
        await badges.handle("change", None, now + 2000)
    assert [(one.unread, one.stale) for one in published] == [(7, True)]
    await badges.worker.stop()


@pytest.mark.parametrize("sign", ["another server took over", "a loss was told"])
async def test_an_answer_from_before_another_process_put_badges_back_is_not_written(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    """When it comes all is there again, so that a look at the topic finds nothing wrong."""
    published: list[Badge] = []
    badges, other = [await BadgeWorker(own_redis.url).start() for _ in range(2)]
    monkeypatch.setattr(badges.context.producer, "publish", lambda _topic, records: take(published, records))
    now, key = now_ms(own_redis) - 60_000, f"im:badge:{APP}:ann"
    await badges.handle("old", 2, now)
    with redis.Redis(port=own_redis.port) as admin:
        old = copy_of(admin, key)
        newest = await badges.handle("new", 7, now + 1000)
        badges.topic.add(newest, now + 2000)
        complete = copy_of(admin, key)
        admin.restore(key, 0, old, replace=True)
        if sign == "a loss was told":
            await other.worker._store.note_loss([Owner(APP, "ann")])
        update = badges.worker.update

        async def answer_late(batch: Sequence[BadgeEvent]) -> list[Badge]:
            monkeypatch.setattr(badges.worker, "update", update)
            answer = await update(batch)
            admin.restore(key, 0, complete, replace=True)
            if sign == "a loss was told":
                await other.worker.end_rebuild(await other.worker.losses())
                await badges.worker.losses()
            else:
                badges.worker._store.connection.note_change()
            return answer

        monkeypatch.setattr(badges.worker, "update", answer_late)
        assert await badges.handle("late", 3, now + 500) == newest
    assert published[2:] == [newest]
    for worker in (badges, other):
        await worker.worker.stop()


async def test_what_is_lost_while_it_is_written_and_put_back_without_it_is_missed(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process reads the topic before the badge is on it, and what it puts back is older."""
    published: list[Badge] = []
    badges = await BadgeWorker(own_redis.url).start()
    now, key = now_ms(own_redis) - 60_000, f"im:badge:{APP}:ann"
    old = await badges.handle("old", 2, now)
    badges.topic.add(old, now)
    with redis.Redis(port=own_redis.port) as admin:
        copy = copy_of(admin, key)

        async def lose_and_take(_topic: str, records: list[OutgoingRecord]) -> None:
            monkeypatch.setattr(badges.context.producer, "publish", lambda _topic, records: take(published, records))
            admin.restore(key, 0, copy, replace=True)
            badges.worker._store.connection.note_change()
            await badges.worker._restoration.look()
            await take(published, records)
            badges.topic.add(published[-1], now + 2000)

        monkeypatch.setattr(badges.context.producer, "publish", lose_and_take)
        await badges.handle("new", 7, now + 1000)
        await badges.handle("late", 3, now + 500)
    assert [one.unread for one in published] == [7, 7]
    await badges.worker.stop()


async def test_a_badge_that_was_only_made_stale_is_missed_too(own_redis: RedisServer) -> None:
    badges = await BadgeWorker(own_redis.url).start()
    first = now_ms(own_redis) - 60_000
    await badges.handle("count", 4, first)
    with redis.Redis(port=own_redis.port) as admin:
        before = copy_of(admin, f"im:badge:{APP}:ann")
        stale = await badges.handle("change", None, first + 1000)
        badges.topic.add(stale, first + 2000)
        admin.restore(f"im:badge:{APP}:ann", 0, before, replace=True)
    with pytest.raises(RetryLater, match="put back from the topic"):
        await badges.worker.probe()
    await badges.until_it_passes(badges.worker.probe)
    assert await badges.badge() == stale
    await badges.worker.stop()


async def test_what_was_written_of_late_is_missed_also_by_an_idle_worker(own_redis: RedisServer) -> None:
    badges = await BadgeWorker(own_redis.url).start()
    first = now_ms(own_redis) - 60_000
    newest = await badges.handle("new", 7, first)
    badges.topic.add(newest, first)
    with redis.Redis(port=own_redis.port) as admin:
        admin.delete(f"im:badge:{APP}:ann")
    with pytest.raises(RetryLater, match="put back from the topic"):
        await badges.worker.probe()
    await badges.until_it_passes(badges.worker.probe)
    assert await badges.badge() == newest
    await badges.worker.stop()


async def test_the_topic_is_looked_at_from_before_all_servers_last_answered(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a cluster may be away for minutes while batches of the others are written."""
    badges = await BadgeWorker(own_redis.url).start()
    read, looked_from, clock = badges.topic.read, list[int | None](), [1000.0]

    def watched(*, last: int | None = None, since_ms: int | None = None) -> AsyncIterator[list[PublishedBadge]]:
        looked_from.append(since_ms)
        return read(last=last, since_ms=since_ms)

    monkeypatch.setattr(badges.topic, "read", watched)
    monkeypatch.setattr("consumers.badges.restoration.time", SimpleNamespace(time=lambda: clock[0]))
    await badges.worker.probe()
    clock[0] = 2000.0
    await badges.worker.probe()
    clock[0] = 2300.0
    await badges.handle("a", 3, now_ms(own_redis))
    badges.worker._store.connection.note_change()
    await badges.worker.probe()
    assert looked_from == [None, 2_000_000 - 60_000]
    await badges.worker.stop()


async def test_a_stale_badge_comes_back_stale_and_is_reconciled(own_redis: RedisServer) -> None:
    badges = await BadgeWorker(own_redis.url).start()
    first = now_ms(own_redis) - 60_000
    await badges.handle("count", 4, first)
    stale = await badges.handle("change", None, first + 1000)
    badges.topic.add(stale, first + 2000)
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    with pytest.raises(RetryLater):
        await badges.worker.probe()
    await badges.until_it_passes(badges.worker.probe)
    assert await badges.badge() == stale
    assert await StaleBadges(badges.worker._store).count(APP) == 1
    assert (await badges.handle("later", 6, first + 3000)).stale is False
    await badges.worker.stop()


async def test_what_redis_throws_away_for_want_of_memory_is_noticed_and_comes_back(own_redis: RedisServer) -> None:
    """It says how many keys it has thrown away, and not which: a badge among them that nobody wrote of late too."""
    badges = await BadgeWorker(own_redis.url).start()
    with redis.Redis(port=own_redis.port) as admin:
        badge = await badges.handle_one_of_old(now_ms(own_redis))
        evict(admin, "allkeys-lru")
        admin.delete(f"im:badge:{APP}:ann")
        await badges.notice_eviction()
        admin.config_set("maxmemory", 0)
        await badges.get_back(badge)
    await badges.worker.stop()


@pytest.mark.slow
async def test_what_a_server_behind_a_proxy_throws_away_is_noticed_although_the_proxy_forbids_to_ask(
    own_redis: RedisServer, proxy: RespProxy
) -> None:
    proxy.judge = refuse_several_slots
    proxy.answers = {"INFO": "ERR unknown command 'info'"}
    badges = await BadgeWorker(proxy.url).start()
    assert await badges.worker._store.connection.kind() == "proxy"
    with redis.Redis(port=own_redis.port) as admin:
        badge = await badges.handle_one_of_old(now_ms(own_redis))
        evict(admin, "allkeys-lru")
        admin.config_set("maxmemory", 0)
        admin.delete(f"im:badge:{APP}:ann")
        await badges.notice_eviction()
        await badges.get_back(badge)
    await badges.worker.stop()


async def test_keys_that_were_thrown_away_are_counted_again_until_the_loss_is_noted(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    badges = await BadgeWorker(own_redis.url).start()
    with redis.Redis(port=own_redis.port) as admin:
        evict(admin, "allkeys-random")
        admin.config_set("maxmemory", 0)

    async def fail() -> None:
        raise RetryLater("away")

    with monkeypatch.context() as away:
        away.setattr(badges.worker._store, "note_loss_anywhere", fail)
        with pytest.raises(RetryLater, match="away"):
            await badges.worker.probe()
    assert badges.evicted == 0
    with pytest.raises(RetryLater, match="has lost badges"):
        await badges.worker.probe()
    assert badges.evicted
    await badges.worker.stop()


async def test_keys_of_others_that_had_a_time_to_live_are_no_loss(own_redis: RedisServer) -> None:
    """Badges have none: where only keys with one are thrown away, no badge is."""
    badges = await BadgeWorker(own_redis.url).start()
    with redis.Redis(port=own_redis.port) as admin:
        evict(admin, "volatile-lru")
        assert int(admin.info("stats")["evicted_keys"])
    await badges.worker.probe()
    assert badges.evicted == 0
    assert not badges.lost
    await badges.worker.stop()
