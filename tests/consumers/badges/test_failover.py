"""Redis changes places behind one address, or comes back empty: the worker goes along, and tells what is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest
import redis

from consumers.badges.redis_clients import RedisClient
from consumers.badges.redis_connection import RedisConnection
from consumers.badges.store import Badge, BadgeStore, Owner
from consumers.errors import RetryLater
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from tests.support.badge_model import APP
from tests.support.badge_worker import BadgeWorker, copy_of, now_ms, take
from tests.support.redis import RedisServer
from tests.support.resp_proxy import RespProxy
from tests.support.waiting import wait_until


async def test_after_a_failover_behind_one_address_the_new_primary_is_written_to(
    own_redis: RedisServer, tmp_path: Path, proxy: RespProxy
) -> None:
    badges = await BadgeWorker(proxy.url).start()
    before = now_ms(own_redis)
    await badges.handle("a", 3, before)
    reconcile = BadgeStore(badges.context.settings)
    stale = StaleBadges(reconcile)
    assert await stale.count(APP) == 0
    with (
        RedisServer(tmp_path / "other", binary=own_redis.binary) as other,
        redis.Redis(port=own_redis.port) as first,
        redis.Redis(port=other.port) as second,
    ):
        first.config_set("repl-diskless-sync-delay", 0)
        second.replicaof("127.0.0.1", str(own_redis.port))
        wait_until(lambda: second.info("replication")["master_link_status"] == "up", timeout=30, what="a replica")
        second.replicaof("NO", "ONE")
        first.replicaof("127.0.0.1", str(other.port))
        with pytest.raises(RetryLater, match="it is a replica"):
            await badges.handle("b", 4, before + 1)
        with pytest.raises(RetryLater, match="it is a replica"):
            await stale.postpone(Owner(APP, "ann"), jitter=1)
        proxy.upstream = other.port
        await badges.until_redis_answers()
        badge = await badges.handle("b", 4, before + 1)
        assert (badge.unread, badge.stale) == (4, False)
        assert second.hget(f"im:badge:{APP}:ann", "unread") == b"4"
        await stale.postpone(Owner(APP, "ann"), jitter=1)
        assert second.zcard(f"im:badges:stale:{APP}") == 1
        await badges.worker.stop()
        await reconcile.close()
    assert badges.lost == 0


async def test_of_a_redis_that_was_emptied_no_older_count_passes_for_the_newest(
    own_redis: RedisServer, proxy: RespProxy, caplog: pytest.LogCaptureFixture
) -> None:
    badges = await BadgeWorker(proxy.url).start()
    first = now_ms(own_redis) - 60_000
    assert not (await badges.handle("new", 7, first + 1000)).stale
    assert badges.worker.remarks() == {}
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    late = await badges.handle("late", 3, first)
    assert (late.unread, late.stale) == (3, True)
    assert "has lost badges" in caplog.text
    assert "consumers badge rebuild" in caplog.text
    assert badges.lost == 1
    assert "consumers badge rebuild" in badges.worker.remarks()["badges"]
    newest = await badges.handle("after", 9, now_ms(own_redis) + 1)
    assert (newest.unread, newest.stale) == (9, False)
    await badges.worker.stop()


async def test_the_loss_is_noticed_once_by_each_process_also_while_it_is_idle(
    own_redis: RedisServer, proxy: RespProxy, caplog: pytest.LogCaptureFixture
) -> None:
    processes = [await BadgeWorker(proxy.url).start() for _ in range(2)]
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    for _ in range(3):
        for process in processes:
            await process.until_it_passes(process.worker.probe)
    assert [process.lost for process in processes] == [1, 1]
    assert caplog.text.count("has lost badges") == 2
    for process in processes:
        await process.worker.stop()


async def test_an_emptied_redis_is_filled_from_the_topic_before_the_worker_goes_on(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Badge] = []
    badges = await BadgeWorker(own_redis.url).start()
    first = now_ms(own_redis) - 60_000
    newest = await badges.handle("new", 7, first + 1000)
    badges.topic.add(newest, first + 2000)
    await badges.worker.update([])
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    monkeypatch.setattr(badges.context.producer, "publish", lambda _topic, records: take(published, records))
    assert await badges.handle("late", 3, first) == newest
    assert published == [newest], "an older badge was never written to the topic"
    assert badges.lost == 0
    await badges.worker.stop()


@pytest.mark.parametrize("restarted", [False, True], ids=["while the worker runs", "while it is stopped"])
async def test_a_redis_that_was_put_back_to_older_data_gets_what_it_lacks(
    own_redis: RedisServer, restarted: bool
) -> None:
    badges = await BadgeWorker(own_redis.url).start()
    first = now_ms(own_redis) - 60_000
    await badges.handle("old", 2, first)
    key, state = f"im:badge:{APP}:ann", "im:badges:state"
    with redis.Redis(port=own_redis.port) as admin:
        copies = {one: copy_of(admin, one) for one in (key, state)}
        newest = await badges.handle("new", 7, first + 1000)
        badges.topic.add(newest, first + 2000)
        if restarted:
            await badges.worker.stop()
        for one, copy in copies.items():
            admin.restore(one, 0, copy, replace=True)
    if restarted:
        topic = badges.topic
        badges = BadgeWorker(own_redis.url, resumes=True)
        badges.topic.badges = topic.badges
        await badges.start()
    assert await badges.handle("late", 3, first + 500) == newest
    assert badges.lost == 0
    await badges.worker.stop()


@pytest.mark.parametrize(("resumes", "lost"), [(True, 1), (False, 0)])
async def test_an_empty_redis_at_the_start_is_a_loss_where_the_group_has_worked_before(
    own_redis: RedisServer, resumes: bool, lost: int
) -> None:
    badges = await BadgeWorker(own_redis.url, resumes=resumes).start()
    assert badges.lost == lost
    badge = await badges.handle("late", 3, now_ms(own_redis) - 60_000)
    assert badge.stale is bool(lost)
    await badges.worker.stop()
    again = await BadgeWorker(own_redis.url, resumes=True).start()
    assert again.lost == lost
    await again.worker.stop()


async def test_badges_from_before_this_was_noted_are_not_lost(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port) as admin:
        admin.sadd("im:badges:apps", APP)
    badges = await BadgeWorker(own_redis.url, resumes=True).start()
    assert badges.lost == 0
    await badges.worker.stop()


async def test_a_rebuild_ends_the_loss_for_all_processes(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    badges = await BadgeWorker(own_redis.url, resumes=True).start()
    first = now_ms(own_redis) - 60_000
    assert (await badges.handle("late", 3, first)).stale
    rebuild = await BadgeWorker(own_redis.url, alone=False, rebuilds=True).start()
    before = await rebuild.worker.losses()
    await rebuild.handle("late", 3, first)
    badge = await rebuild.handle("new", 7, first + 1000)
    assert (badge.unread, badge.stale) == (7, False)
    await rebuild.worker.end_rebuild(before)
    await rebuild.worker.stop()
    await badges.until_it_passes(badges.worker.probe)
    assert badges.lost == 0
    assert badges.worker.remarks() == {}
    assert not (await badges.badge()).stale
    await badges.worker.stop()


async def test_that_a_rebuild_finds_a_badge_not_to_be_stale_is_no_loss(own_redis: RedisServer) -> None:
    """It is stale for the loss alone, and its count is the newest all the same."""
    badges = await BadgeWorker(own_redis.url, resumes=True).start()
    first = now_ms(own_redis) - 60_000
    assert (await badges.handle("late", 3, first)).stale
    rebuild = await BadgeWorker(own_redis.url, alone=False, rebuilds=True).start()
    before = await rebuild.worker.losses()
    assert not (await rebuild.handle("late", 3, first)).stale
    await rebuild.worker.end_rebuild(before)
    await badges.until_it_passes(badges.worker.probe)
    assert badges.lost == 0
    await badges.worker.stop()
    await rebuild.worker.stop()


async def test_what_is_lost_while_a_rebuild_runs_stays_lost(own_redis: RedisServer) -> None:
    badges = await BadgeWorker(own_redis.url, resumes=True).start()
    rebuild = await BadgeWorker(own_redis.url, alone=False, rebuilds=True).start()
    before = await rebuild.worker.losses()
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    await badges.until_it_passes(badges.worker.probe)
    await rebuild.worker.end_rebuild(before)
    await badges.until_it_passes(badges.worker.probe)
    assert badges.lost == 1
    await badges.worker.stop()
    await rebuild.worker.stop()


async def test_a_badge_that_is_stale_since_the_loss_is_reconciled(own_redis: RedisServer) -> None:
    badges = await BadgeWorker(own_redis.url, resumes=True).start()
    now = now_ms(own_redis)
    await badges.handle("late", 3, now - 60_000)
    store = BadgeStore(badges.context.settings)
    stale, owner = StaleBadges(store), Owner(APP, "ann")
    assert await stale.lease(APP, 9, calls_per_s=100, delay_s=0, lease_s=60) == ["ann"]
    assert await stale.resolve(owner, await stale.snapshot(owner), 5)
    badge = await badges.badge()
    assert (badge.unread, badge.stale) == (5, False)
    assert (await badges.handle("held-up", 4, now - 30_000)).unread == 5
    await store.close()
    await badges.worker.stop()


async def test_a_task_that_is_cancelled_ends_also_when_the_client_loses_the_cancellation(
    redis_server: RedisServer,
) -> None:
    """As `asyncio.wait_for` of Python 3.11 does, with which the client sends: a task for ever would go on for ever."""
    connection = RedisConnection(ConsumersSettings.model_validate({"redis_url": redis_server.url}))
    begun = asyncio.Event()

    async def loses_it(client: RedisClient) -> str:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return str(await client.ping())

    task = asyncio.create_task(connection.run(loses_it))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    begun.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connection.run(loses_it)
    assert await connection.run(lambda client: client.ping())
    await connection.close()
