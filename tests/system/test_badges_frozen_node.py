"""The badges worker from outside while a node of its cluster hangs, and nobody takes its place."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2

from consumers.badges.slots import slot_of
from consumers.badges.store import Owner, badge_key
from tests.support.badge_model import APP, NOON_MS, badge_event, expected, produce
from tests.support.badges import SHORT_SESSION, badges_in_redis, badges_on_topic
from tests.support.broker import Broker
from tests.support.redis_sets import RedisCluster
from tests.support.topic import Topics

pytestmark = pytest.mark.slow

PARTITIONS = 4
ACCOUNTS = 10
"""Of a node and partition."""
FETCH_BYTES = 65_536
MORE_MEMORY = 48 * 1024 * 1024
"""Far less than what waits for the node that hangs, and more than what a worker takes by its nature."""


def partition_of(account: str) -> int:
    return (int(murmur2(account.encode())) & 0x7FFFFFFF) % PARTITIONS


def accounts_by_place(cluster: RedisCluster) -> dict[tuple[int, bool], list[str]]:
    """Partition, and whether the badge is on the first node → accounts."""
    end = 16_384 // 3
    found: dict[tuple[int, bool], list[str]] = defaultdict(list)
    for number in count():
        account = f"someone-{number}"
        place = partition_of(account), slot_of(badge_key(Owner(APP, account))) < end
        if len(found[place]) < ACCOUNTS:
            found[place].append(account)
        if len(found) == 2 * PARTITIONS and all(len(accounts) == ACCOUNTS for accounts in found.values()):
            return found
    raise AssertionError


def test_partitions_whose_badges_are_on_other_nodes_go_on_while_one_node_hangs(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    topics.create(broker.bootstrap, partitions=PARTITIONS)
    with RedisCluster(tmp_path / "cluster") as cluster:
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        places = accounts_by_place(cluster)
        hanging = [account for partition in (0, 1) for account in places[partition, True]]
        going_on = [account for partition in (2, 3) for account in places[partition, False]]
        settings = {"CONSUMERS_FETCH_MAX_BYTES": str(FETCH_BYTES), "CONSUMERS_REDIS_TIMEOUT_S": "2", **SHORT_SESSION}
        consumers = worker(broker, cluster.url, **settings)
        numbers = count()

        def events(accounts: list[str], times: int) -> list[dict[str, Any]]:
            return [
                badge_event(f"e{number}", account, number % 100, time=NOON_MS + number, received=NOON_MS + 60_000)
                for _ in range(times)
                for account in accounts
                for number in [next(numbers)]
            ]

        all_events = events([*hanging, *going_on], 5)
        produce(broker.bootstrap, topics.events, all_events)
        accounts = [*hanging, *going_on]
        consumers.wait_for(
            lambda: badges_in_redis(cluster, accounts) == expected(all_events), timeout=60, what="badges of all nodes"
        )
        first, its_replica = cluster.nodes[0], cluster.nodes[3]
        its_replica.kill()
        first.freeze()
        memory = consumers.rss_bytes
        waiting, others = events(hanging, 5000), [events(going_on, 5) for _ in range(3)]
        produce(broker.bootstrap, topics.events, waiting)
        all_events += waiting
        for some in others:
            produce(broker.bootstrap, topics.events, some)
            all_events += some
            right = {name: badge for name, badge in expected(all_events).items() if name in going_on}
            consumers.wait_for(
                lambda right=right: badges_on_topic(broker.bootstrap, topics, going_on) == right,
                timeout=60,
                what="badges of the other nodes",
            )
        assert consumers.rss_bytes - memory < MORE_MEMORY
        first.thaw()
        its_replica.start()
        consumers.wait_for(
            lambda: badges_on_topic(broker.bootstrap, topics, accounts) == expected(all_events),
            timeout=120,
            what="badges of all nodes",
        )
        assert consumers.metric("consumers_dead_letters_total") == 0
