"""The badges worker from outside, where Redis contradicts itself, dies within scripts, or two migrate it at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.devstack.service import environment
from consumers.badges.keys import STATE_KEY
from consumers.badges.slots import slot_of
from consumers.badges.store import Owner, badge_key
from tests.support.badge_model import APP, badge_event, produce
from tests.support.badges import SHORT_SESSION, BadgeTraffic, assert_badges_converge, wait_until_none_is_lost
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.redis_sets import RedisCluster, SentinelSet, SetMember
from tests.support.topic import Topics
from tests.support.waiting import wait_until
from tests.system.test_badges_sets import assert_nothing_is_missed, events_coming, handled, wait_for_more

pytestmark = pytest.mark.slow

ROUNDS = 3
MANY = 2000
OF_SENTINELS = ["ping", "multi", "slaveof", "replicaof"]
"""Commands without which Sentinels take a server for dead, and cannot demote it. Workers need none of them."""


def produce_last(traffic: BadgeTraffic, bootstrap: str, topics: Topics) -> None:
    """A newest event of each account: whatever a failover has cost, its badge is known from then on."""
    now_ms = int(time.time() * 1000)
    last = [
        badge_event(f"last-{number}", account, number, time=now_ms + number, received=now_ms + 500)
        for number, account in enumerate(traffic.accounts)
    ]
    produce(bootstrap, topics.events, last)
    traffic.events += last


def test_a_primary_that_wakes_up_with_old_data_beside_its_successor_costs_no_badge(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    with SentinelSet(tmp_path / "watched") as watched:
        workers: list[Command] = [worker(broker, watched.url, **SHORT_SESSION) for _ in range(2)]
        with events_coming(traffic, broker.bootstrap, topics):
            for _ in range(ROUNDS):
                wait_until(lambda: sum(map(handled, workers)) > 100, timeout=60, what="events")
                old = watched.primary
                old.freeze()
                wait_until(lambda old=old: watched.primary is not old, timeout=60, what="a successor")  # type: ignore[misc]
                before = sum(map(handled, workers))
                wait_until(lambda at=before: sum(map(handled, workers)) > at + 200, timeout=60, what="more events")  # type: ignore[misc]
                old.thaw()
                assert old.client.info("replication")["role"] in {"master", "slave"}
                wait_until(
                    lambda old=old: old.client.info("replication").get("master_link_status") == "up",  # type: ignore[misc]
                    timeout=60,
                    what="a primary that has become a replica",
                )
        produce_last(traffic, broker.bootstrap, topics)
        assert_badges_converge(traffic, broker.bootstrap, watched, topics, workers[0])
        for one in workers:
            assert one.metric("consumers_dead_letters_total") == 0
            wait_until_none_is_lost(one)
            assert one.terminate() == 0


def generation(server: SetMember) -> int:
    """How often badges were updated there."""
    return int(server.client.hget(STATE_KEY, "generation") or 0)


def test_what_a_primary_takes_that_its_sentinels_do_not_reach_is_not_lost_with_it(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    with SentinelSet(tmp_path / "watched") as watched:
        consumers = worker(broker, watched.url, **SHORT_SESSION)
        with events_coming(traffic, broker.bootstrap, topics):
            wait_for_more(consumers, 100)
            old = watched.primary
            old.ask("ACL", "SETUSER", "default", *(f"-{command}" for command in OF_SENTINELS))
            wait_until(lambda: watched.primary is not old, timeout=60, what="a successor")
            before = generation(old)
            wait_until(lambda: generation(old) > before + 5, timeout=60, what="updates that its successor has not got")
            old.ask("ACL", "SETUSER", "default", "+@all")
            wait_until(
                lambda: old.client.info("replication").get("master_link_status") == "up",
                timeout=60,
                what="a primary that has become a replica",
            )
            consumers.wait_for_log("badges were put back from the topic", timeout=60)
            wait_for_more(consumers, 100)
        produce_last(traffic, broker.bootstrap, topics)
        assert_badges_converge(traffic, broker.bootstrap, watched, topics, consumers)
        assert_nothing_is_missed(consumers, traffic, broker.bootstrap, topics)
        assert consumers.metric("consumers_badges_lost") == 0
        assert consumers.terminate() == 0


def test_nodes_that_are_killed_within_scripts_of_a_long_backlog_cost_no_badge(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    traffic.accounts = [f"{topics.events}-{number}" for number in range(MANY)]
    topics.create(broker.bootstrap)
    produce(broker.bootstrap, topics.events, traffic.make(40_000))
    slot = slot_of(badge_key(Owner(APP, traffic.accounts[0])))
    with RedisCluster(tmp_path / "cluster") as cluster:
        consumers = worker(broker, cluster.url, **SHORT_SESSION)
        for number in range(ROUNDS):
            wait_for_more(consumers, 2000)
            victim = cluster.primary_of((slot + number * 5461) % 16_384)
            victim.kill()
            time.sleep(0.3 * number)
            victim.start()
        cluster.wait_whole()
        produce_last(traffic, broker.bootstrap, topics)
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        assert_nothing_is_missed(consumers, traffic, broker.bootstrap, topics)
        wait_until_none_is_lost(consumers)


def migration(redis_url: str, topics: Topics, bootstrap: str) -> subprocess.Popen[str]:
    settings = {
        "CONSUMERS_REDIS_URL": redis_url,
        "CONSUMERS_BADGE_LAYOUT": "hash",
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "CONSUMERS_BADGES_TOPIC": topics.badges,
    }
    command = [str(Path(sys.executable).parent / "consumers"), "badge", "migrate"]
    return subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_two_migrations_at_once_and_one_that_is_killed_leave_every_badge_right_and_as_is_set(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    traffic.accounts = [f"{topics.events}-{number}" for number in range(MANY)]
    with RedisCluster(tmp_path / "cluster") as cluster:
        before = worker(broker, cluster.url, CONSUMERS_BADGE_LAYOUT="packed", **SHORT_SESSION)
        produce(broker.bootstrap, topics.events, traffic.make(20_000))
        wait_for_more(before, 15_000)
        assert before.terminate(20) == 0
        consumers = worker(broker, cluster.url, **SHORT_SESSION)
        with events_coming(traffic, broker.bootstrap, topics):
            wait_for_more(consumers, 100)
            killed = migration(cluster.url, topics, broker.bootstrap)
            both = [migration(cluster.url, topics, broker.bootstrap) for _ in range(2)]
            time.sleep(1)
            killed.kill()
            killed.communicate()
            for one in both:
                told, _ = one.communicate(timeout=120)
                assert one.returncode == 0, told
            wait_for_more(consumers, 100)
        produce_last(traffic, broker.bootstrap, topics)
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        with cluster.connect() as client:
            kinds = {client.type(badge_key(Owner(APP, account)).decode()) for account in traffic.accounts}
        assert kinds == {"hash"}
        assert consumers.metric("consumers_dead_letters_total") == 0
        wait_until_none_is_lost(consumers)
