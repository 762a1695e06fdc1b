"""Badges in a cluster, behind Sentinels, and behind a proxy before a cluster: they come out right whatever happens."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.badges.bulk import BadgeBulk
from consumers.badges.keys import state_key
from consumers.badges.migration import MigrationProgress, migrate
from consumers.badges.redis_examination import examine_redis
from consumers.badges.restoration import LOOKED_AT
from consumers.badges.slots import SLOTS, slot_of, tag_of
from consumers.badges.store import BadgeStore, Owner, badge_key
from consumers.errors import RetryLater, WorkerRefusedError
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from tests.support.badge_model import APP, NOON_MS, badge_event, expected
from tests.support.badge_worker import PATIENT_S, BadgeWorker
from tests.support.badges import BadgeTraffic, apply_events
from tests.support.redis import RedisServer, evict
from tests.support.redis_sets import RedisCluster, SentinelSet
from tests.support.resp_proxy import RespProxy, refuse_several_slots


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, redis_version: Path | None) -> Iterator[RedisCluster]:
    with RedisCluster(tmp_path_factory.mktemp("cluster"), binary=redis_version) as made:
        yield made


def make_store(url: str, **settings: Any) -> BadgeStore:
    return BadgeStore(
        ConsumersSettings.model_validate({"redis_url": url, "redis_timeout_s": PATIENT_S, **settings}), mode="watch"
    )


@pytest.fixture
async def in_cluster(cluster: RedisCluster) -> AsyncIterator[BadgeStore]:
    store = make_store(cluster.url)
    await store.check()
    await store.begin(lost=False)
    yield store
    await store.close()


async def apply_through_trouble(store: BadgeStore, events: list[dict[str, Any]]) -> int:
    """Apply events as the worker does, each batch until it passes; how often one had to wait."""
    waits = 0
    for start in range(0, len(events), 25):
        while True:
            try:
                await apply_events(store, *events[start : start + 25])
                break
            except RetryLater:
                waits += 1
                await asyncio.sleep(0.05)
    return waits


async def found(store: BadgeStore, accounts: list[str]) -> dict[str, dict[str, Any]]:
    badges = await store.update({Owner(APP, account): [] for account in accounts})
    return {
        badge.account: {"unread": badge.unread, "time": badge.time, "event_id": badge.event_id, "stale": badge.stale}
        for badge in badges
        if badge.unread is not None or badge.stale
    }


async def assert_right(store: BadgeStore, traffic: BadgeTraffic) -> None:
    assert await found(store, traffic.accounts) == expected(traffic.events)


@pytest.mark.slow
async def test_badges_of_a_batch_in_many_slots_are_right(in_cluster: BadgeStore) -> None:
    traffic = BadgeTraffic("spread")
    await apply_through_trouble(in_cluster, traffic.make(600))
    await assert_right(in_cluster, traffic)
    assert in_cluster.state.lost_at_ms == 0
    stale = [name for name, badge in expected(traffic.events).items() if badge["stale"]]
    sets = StaleBadges(in_cluster)
    assert stale
    assert await sets.count(APP) == len(stale)
    leased: list[str] = []
    for _ in range(500):
        leased += await sets.lease(APP, 50, calls_per_s=200, delay_s=0, lease_s=60)
        if len(leased) >= len(stale):
            break
        await asyncio.sleep(0.01)
    assert sorted(leased) == sorted(stale)
    owner = Owner(APP, leased[0])
    assert await sets.resolve(owner, await sets.snapshot(owner), 5)
    await sets.release(owner)
    assert await sets.count(APP) == len(stale) - 1


@pytest.mark.slow
async def test_an_examination_tells_of_slots_and_of_eviction(cluster: RedisCluster, in_cluster: BadgeStore) -> None:
    assert await examine_redis(in_cluster.connection) == ("a cluster of 3 primaries", [])
    node = cluster.nodes[0]
    node.client.config_set("maxmemory", 10**9)
    node.client.config_set("maxmemory-policy", "allkeys-lru")
    _, problems = await examine_redis(in_cluster.connection)
    node.client.config_set("maxmemory-policy", "noeviction")
    node.client.config_set("maxmemory", 0)
    assert len(problems) == 1
    assert str(node.port) in problems[0]
    assert "noeviction" in problems[0]


@pytest.mark.slow
async def test_badges_are_brought_into_a_cluster_and_let_go_there(
    redis_server: RedisServer, in_cluster: BadgeStore
) -> None:
    traffic = BadgeTraffic("into-cluster")
    source = BadgeStore(ConsumersSettings.model_validate({"redis_url": redis_server.url}))
    await apply_through_trouble(source, traffic.make(200))
    await migrate(in_cluster, source, MigrationProgress(), lambda _: None)
    await assert_right(in_cluster, traffic)
    bulk = BadgeBulk(in_cluster)
    owners = [owner async for some in bulk.scan() for owner in some if owner.account.startswith("into-cluster")]
    assert {owner.account for owner in owners} == expected(traffic.events).keys()
    found_old = await bulk.older(owners, NOON_MS * 2)
    assert set(await bulk.remove_older(found_old, NOON_MS * 2)) == set(owners)
    assert await found(in_cluster, traffic.accounts) == {}
    await source.close()


@pytest.mark.slow
async def test_a_node_that_is_named_as_a_single_server_is_used_as_the_cluster_that_it_is_of(
    cluster: RedisCluster,
) -> None:
    store = make_store(cluster.nodes[1].url)
    await store.check()
    await store.begin(lost=False)
    traffic = BadgeTraffic("one-node")
    await apply_through_trouble(store, traffic.make(200))
    await assert_right(store, traffic)
    await store.close()


@pytest.mark.slow
async def test_badges_stay_right_while_their_slots_move(cluster: RedisCluster, in_cluster: BadgeStore) -> None:
    traffic = BadgeTraffic("moving")
    slots = [slot_of(badge_key(Owner(APP, account))) for account in traffic.accounts[:12]]
    for slot in slots:
        await apply_through_trouble(in_cluster, traffic.make(40))
        before = cluster.primary_of(slot)
        target = next(node for node in cluster.nodes[:3] if node.port != before.port)
        for _ in cluster.move_slot(slot, target):
            await apply_through_trouble(in_cluster, traffic.make(25))
    await apply_through_trouble(in_cluster, traffic.make(100))
    await assert_right(in_cluster, traffic)
    assert in_cluster.state.lost_at_ms == 0


@pytest.mark.slow
async def test_badges_stay_right_when_a_node_dies_and_its_replica_takes_over(
    tmp_path: Path, redis_version: Path | None
) -> None:
    with RedisCluster(tmp_path, binary=redis_version) as cluster:
        store = make_store(cluster.url)
        await store.check()
        await store.begin(lost=False)
        traffic = BadgeTraffic("failover")
        await apply_through_trouble(store, traffic.make(200))
        cluster.nodes[0].kill_in_step()
        assert await apply_through_trouble(store, traffic.make(200)) > 0
        await assert_right(store, traffic)
        assert cluster.primary_of(0).port != cluster.nodes[0].port
        await store.close()


@pytest.mark.slow
async def test_a_shard_that_was_emptied_is_noticed(tmp_path: Path) -> None:
    with RedisCluster(tmp_path) as cluster:
        store = make_store(cluster.url)
        await store.check()
        await store.begin(lost=False)
        await store.update({})
        assert store.state.lost_at_ms == 0
        cluster.nodes[1].client.flushall()
        await store.update({})
        assert store.state.lost_at_ms > 0
        await store.close()


def data_of(server: Path) -> Path:
    return server / "appendonlydir"


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", ["empty", "with data of before"])
async def test_all_slots_of_a_node_that_comes_back_without_its_data_are_put_back_at_once(
    tmp_path: Path, comes_back: str
) -> None:
    with RedisCluster(tmp_path / "cluster") as cluster:
        badges = await BadgeWorker(cluster.url).start()
        accounts = [f"someone-{number}" for number in range(3 * LOOKED_AT)]
        await badges.count_all(accounts, 1, time=NOON_MS)
        node, its_replica = cluster.nodes[1], cluster.nodes[4]
        if comes_back != "empty":
            shutil.copytree(data_of(node.folder), tmp_path / "before")
        await badges.count_all(accounts, 2, time=NOON_MS + 60_000)
        for badge in await badges.all_of(accounts):
            badges.topic.add(badge, int(time.time() * 1000) - 3_600_000)
        its_replica.kill()
        node.kill()
        shutil.rmtree(data_of(node.folder))
        if comes_back != "empty":
            shutil.copytree(tmp_path / "before", data_of(node.folder))
        node.start()
        cluster.wait_whole()
        await badges.until_redis_answers()
        for start in range(0, len(accounts), 20):
            await badges.count_all(accounts[start : start + 20], 3, time=NOON_MS + 30_000)
        assert {(badge.unread, badge.stale) for badge in await badges.all_of(accounts)} == {(2, False)}
        assert badges.topic.times_read_whole == 1
        assert not badges.lost
        await badges.worker.stop()


@pytest.mark.slow
async def test_what_a_node_throws_away_for_want_of_memory_is_noticed_and_comes_back(
    tmp_path: Path, redis_version: Path | None
) -> None:
    with RedisCluster(tmp_path, binary=redis_version) as cluster:
        badges = await BadgeWorker(cluster.url).start()
        badge = await badges.handle_one_of_old(int(time.time() * 1000))
        key = f"im:badge:{APP}:ann"
        node = cluster.find(key)
        evict(node.client, "allkeys-lru", tag=f"{{{key}}}")
        node.client.config_set("maxmemory", 0)
        node.client.delete(key)
        await badges.notice_eviction()
        await badges.get_back(badge)
        await badges.worker.stop()


@pytest.mark.slow
async def test_the_primary_that_sentinels_name_is_followed(tmp_path: Path, redis_version: Path | None) -> None:
    with SentinelSet(tmp_path, binary=redis_version) as watched:
        store = make_store(watched.url)
        await store.check()
        await store.begin(lost=False)
        traffic = BadgeTraffic("sentinel")
        await apply_through_trouble(store, traffic.make(200))
        first = watched.primary
        first.kill_in_step()
        assert await apply_through_trouble(store, traffic.make(200)) > 0
        await assert_right(store, traffic)
        assert watched.primary is not first
        await store.close()


async def test_a_single_server_given_as_a_cluster_is_refused_with_the_right_address(redis_server: RedisServer) -> None:
    store = make_store(redis_server.url.replace("redis://", "redis+cluster://"))
    with pytest.raises(WorkerRefusedError, match=r"is no cluster.*redis://host:port"):
        await store.check()
    await store.close()


async def test_a_proxy_before_a_cluster_is_noticed_and_given_keys_of_one_slot_at_a_time(own_redis: RedisServer) -> None:
    async with RespProxy(own_redis.port) as proxy:
        proxy.judge = refuse_several_slots
        store = make_store(proxy.url)
        await store.check()
        assert await store.connection.kind() == "proxy"
        await store.begin(lost=False)
        traffic = BadgeTraffic("proxy")
        await apply_through_trouble(store, traffic.make(300))
        await assert_right(store, traffic)
        assert len(await store.losses()) == 0
        await store.close()


@pytest.mark.slow
async def test_slots_that_were_emptied_while_no_worker_ran_are_noticed_at_its_start(own_redis: RedisServer) -> None:
    async with RespProxy(own_redis.port) as proxy:
        proxy.judge = refuse_several_slots
        store = make_store(proxy.url, redis_timeout_s=PATIENT_S)
        await store.begin(lost=False)
        assert await store.losses() == {}
        emptied = range(100, 200)
        own_redis.connect().delete("im:badges:begun", *map(state_key, emptied))
        await store.begin(lost=False)
        assert set(await store.losses()) == set(emptied)
        await store.close()


def test_a_tag_puts_a_key_into_its_slot() -> None:
    for slot in (0, 1, 4242, SLOTS - 1):
        assert slot_of(f"im:badges:state:{{{tag_of(slot)}}}".encode()) == slot


def test_a_slot_is_that_of_the_specification() -> None:
    assert slot_of(b"123456789") == 0x31C3
    assert slot_of(b"a{b}c") == slot_of(b"b")
    assert slot_of(b"a{}b") != slot_of(b"")


async def test_events_wait_for_the_answers_of_a_cluster_that_changes(own_redis: RedisServer) -> None:
    async with RespProxy(own_redis.port) as proxy:
        store = make_store(proxy.url)
        await store.check()
        for answer in (
            "MOVED 1 127.0.0.1:1",
            "ASK 1 127.0.0.1:1",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "CLUSTERDOWN The cluster is down",
            "MASTERDOWN Link with MASTER is down",
            "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.",
        ):
            proxy.answers = {"EVALSHA": answer}
            with pytest.raises(RetryLater):
                await apply_events(store, badge_event("a", "changing", 3, time=NOON_MS))
        proxy.answers = {}
        await apply_events(store, badge_event("a", "changing", 3, time=NOON_MS))
        await store.close()
