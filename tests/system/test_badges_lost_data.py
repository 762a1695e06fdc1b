"""The badges worker from outside, where nodes of its cluster throw badges away, or come back with data of before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.badge_model import produce
from tests.support.badges import SHORT_SESSION, BadgeTraffic, assert_badges_converge
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.redis_sets import RedisCluster, SetMember
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until
from tests.system.test_badges_sets import events_coming, handled, wait_for_more
from tests.system.test_badges_split_brain import produce_last

pytestmark = pytest.mark.slow

MANY = 3000
TOO_LITTLE = 200_000
"""Bytes that a node lacks for what it holds."""


def has_evicted(node: SetMember) -> bool:
    return int(node.client.info("stats")["evicted_keys"]) > 0


def wait_for_all(workers: list[Command], traffic: BadgeTraffic) -> None:
    wait_until(lambda: sum(map(handled, workers)) >= len(traffic.events), timeout=60, what="all events handled")


def assert_all_is_well(workers: list[Command], bootstrap: str, topics: Topics) -> None:
    assert read_all(bootstrap, topics.dlq) == []
    for one in workers:
        assert one.metric("consumers_dead_letters_total") == 0
        one.wait_for(lambda one=one: one.metric("consumers_badges_lost") == 0, timeout=40, what="nothing lost")  # type: ignore[misc]
        one.wait_ready()
        assert one.terminate() == 0


def test_badges_converge_once_a_cluster_that_threw_them_away_has_memory_again(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    traffic.accounts = [f"{topics.events}-{number}" for number in range(MANY)]
    with RedisCluster(tmp_path / "cluster") as cluster:
        consumers = worker(broker, cluster.url, **SHORT_SESSION)
        produce(broker.bootstrap, topics.events, traffic.make(20_000))
        wait_for_more(consumers, 15_000)
        for node in cluster.nodes:
            node.client.config_set("maxmemory-policy", "allkeys-lru")
            node.client.config_set("maxmemory", int(node.client.info("memory")["used_memory"]) - TOO_LITTLE)
        with events_coming(traffic, broker.bootstrap, topics):
            wait_until(lambda: all(map(has_evicted, cluster.nodes[:3])), timeout=60, what="keys that are thrown away")
            consumers.wait_for(lambda: consumers.metric("consumers_badges_lost") == 1, timeout=60, what="a loss")
            for node in cluster.nodes:
                node.client.config_set("maxmemory-policy", "noeviction")
                node.client.config_set("maxmemory", 0)
            wait_for_more(consumers, 500)
        produce_last(traffic, broker.bootstrap, topics)
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        assert consumers.metric("consumers_redis_evicted_keys_total") > 0
        assert_all_is_well([consumers], broker.bootstrap, topics)


def test_a_node_that_comes_back_with_old_data_costs_no_badge_and_is_filled_a_few_times_at_most(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    traffic.accounts = [f"{topics.events}-{number}" for number in range(MANY)]
    with RedisCluster(tmp_path / "cluster") as cluster:
        workers: list[Command] = [worker(broker, cluster.url, **SHORT_SESSION) for _ in range(2)]
        produce(broker.bootstrap, topics.events, traffic.make(10_000))
        wait_for_all(workers, traffic)
        node, its_replica = cluster.nodes[1], cluster.nodes[4]
        data, before = node.folder / "appendonlydir", tmp_path / "before"
        shutil.copytree(data, before)
        produce(broker.bootstrap, topics.events, traffic.make(10_000))
        wait_for_all(workers, traffic)
        its_replica.kill()
        node.kill()
        shutil.rmtree(data)
        shutil.copytree(before, data)
        node.start()
        cluster.wait_whole()
        for one in workers:
            one.wait_for_log("has lost badges", timeout=60)
        with events_coming(traffic, broker.bootstrap, topics):
            wait_for_more(workers[0], 500)
        wait_for_all(workers, traffic)
        produce_last(traffic, broker.bootstrap, topics)
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, workers[0])
        # Each may notice it twice while the other fills: in a slot that it writes to, then in all others that it knows.
        most = 2 * len(workers)
        assert sum(one.output().count("badges were put back from the topic") for one in workers) <= most
        assert_all_is_well(workers, broker.bootstrap, topics)
