"""The badges worker from outside, its badges in a cluster or behind Sentinels, while those change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consumers.badges.slots import slot_of
from consumers.badges.store import Owner, badge_key
from tests.support.badge_model import APP, badge_event, expected, produce
from tests.support.badges import (
    SHORT_SESSION,
    BadgeTraffic,
    assert_badges_converge,
    badges_in_redis,
    wait_until_all_is_handled,
    wait_until_none_is_lost,
)
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.redis_sets import RedisCluster, SentinelSet
from tests.support.topic import Topics, read_all

pytestmark = pytest.mark.slow


@contextmanager
def events_coming(traffic: BadgeTraffic, bootstrap: str, topics: Topics) -> Iterator[None]:
    """Events come, some hundred a second, from the beginning to the end of the block."""
    is_over = threading.Event()
    errors: list[BaseException] = []

    def come() -> None:
        try:
            while not is_over.is_set():
                produce(bootstrap, topics.events, traffic.make(20))
                is_over.wait(0.05)
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    assert not errors


def wait_for_more(worker: Command, events: int) -> None:
    """Wait until the worker has handled so many more than now."""
    before = handled(worker)
    worker.wait_for(lambda: handled(worker) >= before + events, timeout=60, what="events that are handled")


def handled(worker: Command) -> float:
    return worker.metric("consumers_handled_events_total")


def assert_nothing_is_missed(worker: Command, traffic: BadgeTraffic, bootstrap: str, topics: Topics) -> None:
    """Each event was handled, and none became a dead letter."""
    wait_until_all_is_handled(worker, len(traffic.events))
    assert worker.metric("consumers_dead_letters_total") == 0
    assert read_all(bootstrap, topics.dlq) == []


def test_badges_converge_while_slots_move_and_a_primary_dies(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    slots = [slot_of(badge_key(Owner(APP, account))) for account in traffic.accounts[:8]]
    with RedisCluster(tmp_path / "cluster") as cluster:
        consumers = worker(broker, cluster.url, **SHORT_SESSION)
        with events_coming(traffic, broker.bootstrap, topics):
            wait_for_more(consumers, 100)
            for slot in slots:
                source = cluster.primary_of(slot)
                target = next(node for node in cluster.nodes[:3] if node.port != source.port)
                for _ in cluster.move_slot(slot, target):
                    wait_for_more(consumers, 20)
            victim = cluster.primary_of(slots[0])
            victim.kill_in_step()
            wait_for_more(consumers, 200)
            victim.start()
            wait_for_more(consumers, 100)
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        assert cluster.primary_of(slots[0]).port != victim.port
        assert_nothing_is_missed(consumers, traffic, broker.bootstrap, topics)
        wait_until_none_is_lost(consumers)
        consumers.wait_ready()
        assert consumers.terminate() == 0


def test_badges_converge_while_sentinels_replace_the_primary(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    with SentinelSet(tmp_path / "watched") as watched:
        consumers = worker(broker, watched.url, **SHORT_SESSION)
        with events_coming(traffic, broker.bootstrap, topics):
            wait_for_more(consumers, 100)
            first = watched.primary
            first.kill_in_step()
            wait_for_more(consumers, 200)
            first.start()
            wait_for_more(consumers, 100)
        assert watched.primary is not first
        assert_badges_converge(traffic, broker.bootstrap, watched, topics, consumers)
        assert_nothing_is_missed(consumers, traffic, broker.bootstrap, topics)
        wait_until_none_is_lost(consumers)
        assert consumers.terminate() == 0


def test_what_a_replica_had_not_got_when_it_took_over_is_put_back_from_the_topic(
    broker: Broker, tmp_path: Path, topics: Topics, worker: Any
) -> None:
    traffic = BadgeTraffic(topics.events)
    with RedisCluster(tmp_path / "cluster") as cluster:
        consumers = worker(broker, cluster.url, **SHORT_SESSION)
        produce(broker.bootstrap, topics.events, traffic.make(300))
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        primary, replica = cluster.nodes[0], cluster.nodes[3]
        replica.kill()
        produce(broker.bootstrap, topics.events, traffic.make(300))
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        primary.kill()
        replica.start()
        consumers.wait_for_log("badges were put back from the topic", timeout=60)
        right = expected(traffic.events)
        consumers.wait_for(
            lambda: badges_in_redis(cluster, traffic.accounts) == right, timeout=40, what="the badges from before"
        )
        wait_until_none_is_lost(consumers)
        now_ms = int(time.time() * 1000)
        newest = [
            badge_event(f"last-{number}", account, number, time=now_ms + number, received=now_ms + 500)
            for number, account in enumerate(traffic.accounts)
        ]
        produce(broker.bootstrap, topics.events, newest)
        traffic.events += newest
        assert_badges_converge(traffic, broker.bootstrap, cluster, topics, consumers)
        assert_nothing_is_missed(consumers, traffic, broker.bootstrap, topics)
