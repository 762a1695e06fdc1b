"""What is done to workers: members come and go under load, they are killed at each step, what they need goes away."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from tests.support.badge_model import badge_event, produce
from tests.support.badges import (
    SHORT_SESSION,
    BadgeTraffic,
    assert_badges_converge,
    badges_in_redis,
    wait_until_all_is_handled,
)
from tests.support.broker import Broker
from tests.support.redis import RedisServer
from tests.support.topic import Topics, create_topic, read_all
from tests.support.workers import StartWorker

AWAY_S = float(os.environ.get("IM_BRIDGE_AWAY_S", "4"))
"""How long Redis is away; two minutes where there is time."""

LEDGER = '''
import asyncio, os, pathlib
from consumers.worker import Worker

FILE = os.open(pathlib.Path(__file__).with_name("ledger"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

class Ledger(Worker):
    """Members of one group write into one file, in one write a batch."""

    name = "ledger"

    async def handle(self, batch):
        await asyncio.sleep(0.01)
        os.write(FILE, "".join(f"{m.event.subject} {m.event.id}\\n" for m in batch).encode())
'''

MORTAL = """
import os, pathlib, signal
from consumers.badges import Badges

HERE = pathlib.Path(__file__).parent

def reached(step):
    if (HERE / step).exists():
        (HERE / step).unlink()
        os.kill(os.getpid(), signal.SIGKILL)

class Mortal(Badges):
    async def update(self, batch):
        reached("fetched")
        badges = await super().update(batch)
        reached("written")
        return badges

    async def publish(self, badges, traces):
        await super().publish(badges, traces)
        reached("published")
"""


class NumberedEvents:
    """Writes events of 30 keys, each numbered from 0, until the end of the block."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.rounds = 0

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self._bootstrap, "enable.idempotence": True, "log_level": 0})
        while not self._ended.wait(0.02):
            for key in range(30):
                event = badge_event(str(self.rounds), f"user-{key}", 1)
                producer.produce(self._topic, orjson.dumps(event), event["subject"].encode())
            producer.poll(0)
            self.rounds += 1
        assert not producer.flush(20)

    def __enter__(self) -> NumberedEvents:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(20)


def test_rebalance_under_load_with_1_3_1_members_loses_and_reorders_nothing_per_key(
    broker: Broker, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=6)
    topics.create(broker.bootstrap)
    (tmp_path / "ledger.py").write_text(LEDGER)
    settings = {"PYTHONPATH": str(tmp_path), "CONSUMERS_BATCH_MAX_EVENTS": "20"}
    ledger = tmp_path / "ledger"
    first = start_worker("ledger:Ledger", broker.bootstrap, **settings)
    with NumberedEvents(broker.bootstrap, topics.events) as load:
        first.wait_for(ledger.exists, what="the first event")
        second = start_worker("ledger:Ledger", broker.bootstrap, **settings)
        third = start_worker("ledger:Ledger", broker.bootstrap, **settings)
        for member in (second, third):
            member.wait_for_log(r"partitions of \S+: \d, \d$", timeout=20)
        seen = load.rounds
        third.wait_for(lambda: load.rounds > seen + 50, what="load on three members")
        second.kill()
        assert third.terminate() == 0
        first.wait_for_log(
            r"partitions of \S+: 0, 1, 2, 3, 4, 5\n(?s:.*)partitions of \S+: 0, 1, 2, 3, 4, 5$", timeout=30
        )
    everything = {f"user-{key}": [str(number) for number in range(load.rounds)] for key in range(30)}
    first.wait_for(lambda: firsts(ledger) == everything, what="every event, in order", timeout=20)


def firsts(ledger: Path) -> dict[str, list[str]]:
    """Key → ids in the order in which each was handled for the first time."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for line in ledger.read_text().rpartition("\n")[0].splitlines():  # What comes behind is being written.
        key, event_id = line.split()
        found[key].setdefault(event_id)
    return {key: list(ids) for key, ids in found.items()}


@pytest.mark.parametrize("step", ["fetched", "written", "published"])
def test_killed_with_9_at_a_step_of_the_loop_it_goes_on_and_the_badges_converge(  # noqa: PLR0917 - fixtures
    broker: Broker, redis_server: RedisServer, topics: Topics, start_worker: StartWorker, tmp_path: Path, step: str
) -> None:
    topics.create(broker.bootstrap)
    (tmp_path / "mortal.py").write_text(MORTAL)
    (tmp_path / step).touch()
    settings = {"PYTHONPATH": str(tmp_path), "CONSUMERS_REDIS_URL": redis_server.url}
    process = start_worker("mortal:Mortal", broker.bootstrap, CONSUMERS_GROUP_INSTANCE_ID="only", **settings)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(600))
    assert process.wait(timeout=20) == -9
    process.start()
    assert_badges_converge(traffic, broker.bootstrap, redis_server, topics, process)
    assert read_all(broker.bootstrap, topics.dlq) == []


def test_redis_away_for_a_while_is_seen_while_idle_and_costs_nothing(
    broker: Broker, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(broker, own_redis, CONSUMERS_REDIS_TIMEOUT_S="1", **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(200))
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    wait_until_all_is_handled(consumers, len(traffic.events))
    own_redis.freeze()
    frozen = time.monotonic()
    consumers.wait_for(
        lambda: consumers.metric("consumers_connected", to="redis") == 0, what="Redis to be missed", timeout=15
    )
    assert consumers.metric("consumers_oldest_unhandled_seconds") == 0, "nothing was to be done"
    produce(broker.bootstrap, topics.events, traffic.make(2000))
    consumers.wait_for(lambda: consumers.metric("consumers_waiting") == 1, what="waiting")
    consumers.wait_for(lambda: time.monotonic() - frozen > AWAY_S, what="the time without Redis", timeout=AWAY_S + 5)
    own_redis.thaw()
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    consumers.wait_for(lambda: consumers.metric("consumers_connected", to="redis") == 1, what="Redis to be there")
    assert consumers.metric("consumers_dead_letters_total") == 0
    assert badges_in_redis(own_redis, traffic.accounts)


@pytest.mark.slow
def test_after_a_restart_of_kafka_a_worker_goes_on_as_the_member_that_it_was(
    own_broker: Broker, redis_server: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(own_broker, redis_server, **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(own_broker.bootstrap, topics.events, traffic.make(100))
    assert_badges_converge(traffic, own_broker.bootstrap, redis_server, topics, consumers)
    own_broker.kill()
    ended = time.monotonic()
    consumers.wait_for(lambda: time.monotonic() - ended > 8, what="more than a session without Kafka", timeout=30)
    assert consumers.metric("consumers_connected", to="kafka") == 0
    own_broker.start()
    produce(own_broker.bootstrap, topics.events, traffic.make(100))
    assert_badges_converge(traffic, own_broker.bootstrap, redis_server, topics, consumers)
    consumers.wait_for(lambda: consumers.metric("consumers_connected", to="kafka") == 1, what="Kafka to be there")
    # A new member would have to wait until the group has forgotten the one that it was before.
    assert "replaced with a new one" not in consumers.output()
    assert len(re.findall("partitions of", consumers.output())) == 1
