"""The badges worker from outside while everything happens to its cluster that can: again and again, all at once."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from consumers.badges.slots import slot_of
from consumers.badges.stale_sets import BUCKETS
from consumers.badges.store import Owner, badge_key
from tests.support.badge_model import APP, badge_event, produce
from tests.support.badges import BadgeTraffic, assert_badges_converge, badges_in_redis, wait_until_none_is_lost
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.redis_sets import RedisCluster, SetMember
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until
from tests.system.test_badges_sets import events_coming, handled

pytestmark = pytest.mark.slow

ROUNDS = 2


class Chaos:
    """What is done to a cluster; each is over when the cluster serves all slots again."""

    def __init__(self, cluster: RedisCluster, accounts: list[str], seed: str) -> None:
        self._cluster = cluster
        self._slots = [slot_of(badge_key(Owner(APP, account))) for account in accounts]
        self._random = random.Random(seed)

    def everything(self) -> Iterable[Callable[[], None]]:
        """In another order each time."""
        return self._random.sample(self._all(), len(self._all()))

    def _all(self) -> list[Callable[[], None]]:
        return [
            self.move_a_slot_while_a_replica_dies,
            self.kill_a_primary,
            self.freeze_a_primary,
            self.empty_a_primary,
            self.kill_all_primaries,
            self.kill_all_connections,
            self.let_all_replicas_take_over,
        ]

    def move_a_slot_while_a_replica_dies(self) -> None:
        slot = self._random.choice(self._slots)
        source = self._cluster.primary_of(slot)
        target = self._random.choice([node for node in self._primaries() if node is not source])
        dying = self._random.choice([node for node in self._cluster.nodes if node not in self._primaries()])
        for step, _ in enumerate(self._cluster.move_slot(slot, target)):
            if step == 0:
                dying.kill()
            time.sleep(0.1)
        dying.start()

    def kill_a_primary(self) -> None:
        victim = self._random.choice(self._primaries())
        slot = self._slot_of(victim)
        victim.kill()
        wait_until(lambda: self._has_moved(slot, victim), timeout=60, what="a replica that takes over")
        victim.start()

    def freeze_a_primary(self) -> None:
        victim = self._random.choice(self._primaries())
        slot = self._slot_of(victim)
        victim.freeze()
        try:
            others = [node for node in self._cluster.nodes if node is not victim]
            wait_until(lambda: serves(others, slot) not in (None, victim.port), timeout=60, what="a replica")
        finally:
            victim.thaw()

    def empty_a_primary(self) -> None:
        self._random.choice(self._primaries()).ask("FLUSHALL")

    def kill_all_primaries(self) -> None:
        dying = self._primaries()
        for node in dying:
            node.kill()
        time.sleep(0.5)
        for node in dying:
            node.start()

    def kill_all_connections(self) -> None:
        for node in self._cluster.nodes:
            node.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def let_all_replicas_take_over(self) -> None:
        for node in self._cluster.nodes:
            with contextlib.suppress(redis.RedisError):
                node.ask("CLUSTER", "FAILOVER", "FORCE")

    def _primaries(self) -> list[SetMember]:
        """As all nodes name them: for a while after a replica took over they do not name the same."""
        ports = wait_until(self._named_by_all, timeout=60, what="nodes that name the same primaries")
        return [node for node in self._cluster.nodes if node.port in ports]

    def _named_by_all(self) -> frozenset[int]:
        named = {frozenset(int(row[2][1]) for row in node.ask("CLUSTER SLOTS")) for node in self._cluster.nodes}
        return named.pop() if len(named) == 1 else frozenset()

    def _slot_of(self, node: SetMember) -> int:
        return next(int(row[0]) for row in node.ask("CLUSTER SLOTS") if int(row[2][1]) == node.port)

    def _has_moved(self, slot: int, victim: SetMember) -> bool:
        others = [node for node in self._cluster.nodes if node is not victim]
        return serves(others, slot) not in (None, victim.port)


def serves(nodes: list[SetMember], slot: int) -> int | None:
    """Port of who has a slot, as some nodes say; None while they say nothing."""
    for node in nodes:
        with contextlib.suppress(redis.RedisError):
            if node.ask("CLUSTER INFO").get("cluster_state") != "ok":
                return None
            for begin, end, primary, *_ in node.ask("CLUSTER SLOTS"):
                if int(begin) <= slot <= int(end):
                    return int(primary[1])
    return None


def assert_no_badge_went_back(bootstrap: str, topics: Topics, happened: list[str]) -> None:
    """Of each account, each record of its badge is as new as the one before, or newer."""
    newest: dict[bytes | None, tuple[str, str]] = {}
    for message in read_all(bootstrap, topics.badges):
        badge = message.event
        order = (badge["time"] or "", badge["event_id"] or "")
        written = datetime.fromtimestamp((message.timestamp or 0) / 1000, UTC)
        told = f"at {written:%X} {badge} after {newest.get(message.key)}; {happened}"
        assert order >= newest.get(message.key, ("", "")), told
        newest[message.key] = order


def stale_and_known(cluster: RedisCluster, accounts: Iterable[str]) -> tuple[set[str], set[str]]:
    """The accounts whose badges are stale, and those that reconcile knows for such."""
    badges = badges_in_redis(cluster, accounts)
    with cluster.connect() as client:
        keys = [f"im:badges:stale:{{{APP}/{number}}}" for number in range(BUCKETS)]
        known = {account for key in keys for account in client.zrange(key, 0, -1)}
    return {account for account, badge in badges.items() if badge["stale"]}, known


def wait_for_work(workers: list[Command], events: int) -> None:
    before = sum(map(handled, workers))
    wait_until(lambda: sum(map(handled, workers)) >= before + events, timeout=120, what="events that are handled")


def test_badges_converge_and_none_goes_back_whatever_happens_to_a_cluster(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)

    def produce_more(events: Iterable[dict[str, Any]]) -> None:
        made = list(events)
        produce(broker.bootstrap, topics.events, made)
        traffic.events += made

    with RedisCluster(tmp_path / "cluster") as cluster:
        workers = [worker(broker, cluster.url) for _ in range(2)]
        happened: list[str] = []
        chaos = Chaos(cluster, traffic.accounts, "chaos")
        with events_coming(traffic, broker.bootstrap, topics):
            wait_for_work(workers, 100)
            for _ in range(ROUNDS):
                for happen in chaos.everything():
                    happened.append(f"{datetime.now(UTC):%X} {happen.__name__}")
                    happen()
                    cluster.wait_whole()
                    wait_for_work(workers, 100)
        now_ms = int(time.time() * 1000)
        uncounted = traffic.accounts[:10]
        produce_more(
            badge_event(f"uncounted-{account}", account, time=now_ms - 1000, received=now_ms) for account in uncounted
        )
        wait_until(lambda: sum(map(handled, workers)) >= len(traffic.events), timeout=120, what="all events handled")
        stale, known = stale_and_known(cluster, traffic.accounts)
        assert stale >= set(uncounted)
        assert stale <= known
        produce_more(
            badge_event(f"last-{number}", account, number, time=now_ms + number, received=now_ms + 500)
            for number, account in enumerate(traffic.accounts)
        )
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, workers[0])
        assert_no_badge_went_back(broker.bootstrap, topics, happened)
        assert read_all(broker.bootstrap, topics.dlq) == []
        for one in workers:
            assert one.metric("consumers_dead_letters_total") == 0
            wait_until_none_is_lost(one)
            one.wait_ready()
            assert one.terminate() == 0
