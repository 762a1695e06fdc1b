"""The badges worker from outside: a real process, a real Kafka, a real Redis, and what is done to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import redis

from tests.support.badge_model import APP, NOON_MS, badge_event, produce
from tests.support.badges import (
    SHORT_SESSION,
    BadgeTraffic,
    assert_badges_converge,
    badges_in_redis,
    wait_until_all_is_handled,
    wait_until_none_is_lost,
)
from tests.support.broker import Broker
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all


def test_events_become_badges_in_redis_and_on_the_topic(
    broker: Broker, redis_server: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(broker, redis_server)
    traffic = BadgeTraffic(topics.events)
    of_no_concern = badge_event("x", "x", 1) | {"type": "im.group.created"}
    produce(broker.bootstrap, topics.events, [of_no_concern, *traffic.make(1500)])
    assert_badges_converge(traffic, broker.bootstrap, redis_server, topics, consumers)
    wait_until_all_is_handled(consumers, 1500)
    consumers.wait_for(lambda: consumers.metric("consumers_skipped_events_total") == 1, what="the other event")
    assert consumers.metric("consumers_handled_events_total") == 1500
    assert consumers.metric("consumers_dead_letters_total") == 0
    assert consumers.metric("consumers_connected", to="redis") == 1
    assert consumers.terminate() == 0


def test_the_worker_survives_kill_9(broker: Broker, redis_server: RedisServer, topics: Topics, worker: Any) -> None:
    settings = {"CONSUMERS_GROUP_INSTANCE_ID": "only", "CONSUMERS_BATCH_MAX_EVENTS": "20", **SHORT_SESSION}
    consumers = worker(broker, redis_server, **settings)
    traffic = BadgeTraffic(topics.events)
    for killed in range(4):
        produce(broker.bootstrap, topics.events, traffic.make(3000))
        # Killed in the middle of its work, each time a little later.
        wanted = 20 + killed * 100
        consumers.wait_for(
            lambda wanted=wanted: consumers.metric("consumers_handled_events_total") >= wanted,
            what="some work",
            timeout=20,
        )
        consumers.kill()
        consumers.start_ready()
    assert_badges_converge(traffic, broker.bootstrap, redis_server, topics, consumers)


def test_a_badge_is_on_the_topic_although_the_worker_died_between_redis_and_kafka(
    own_broker: Broker, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(own_broker, own_redis, CONSUMERS_GROUP_INSTANCE_ID="only", **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(own_broker.bootstrap, topics.events, traffic.make(10))
    # It has seen then that Redis has what is on the topic of badges, which it must before its first batch.
    assert_badges_converge(traffic, own_broker.bootstrap, own_redis, topics, consumers)
    before = badges_in_redis(own_redis, traffic.accounts)
    own_redis.freeze()
    produce(own_broker.bootstrap, topics.events, traffic.make(100))
    consumers.wait_for(lambda: consumers.metric("consumers_oldest_unhandled_seconds") > 0, what="a batch in work")
    own_broker.freeze()
    own_redis.thaw()
    # Not all of them: the worker may not have fetched all events yet.
    consumers.wait_for(lambda: badges_in_redis(own_redis, traffic.accounts) != before, what="newer badges in Redis")
    consumers.kill()
    own_broker.thaw()
    consumers.start()
    assert_badges_converge(traffic, own_broker.bootstrap, own_redis, topics, consumers)


def test_the_worker_survives_a_redis_restart(
    broker: Broker, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(broker, own_redis, **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(500))
    own_redis.kill()
    produce(broker.bootstrap, topics.events, traffic.make(500))
    consumers.wait_for_log("waiting, nothing is lost: Redis at")
    # Longer than the broker waits for a member that is silent.
    began = time.monotonic()
    consumers.wait_for(lambda: time.monotonic() - began > 7, what="seven seconds without Redis")
    own_redis.start()
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    consumers.wait_for_log("working again, after")
    assert consumers.metric("consumers_dead_letters_total") == 0
    assert len(re.findall("partitions of", consumers.output())) == 1, "it kept its partitions all the time"
    assert len(re.findall("waiting, nothing is lost", consumers.output())) == 1


def test_the_worker_survives_a_rebalance_with_two_members(
    broker: Broker, redis_server: RedisServer, topics: Topics, worker: Any
) -> None:
    first = worker(broker, redis_server, CONSUMERS_BATCH_MAX_EVENTS="20", **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(3000))
    second = worker(broker, redis_server, CONSUMERS_BATCH_MAX_EVENTS="20", **SHORT_SESSION)
    second.wait_for_log(r"partitions of \S+: \d, \d$")
    produce(broker.bootstrap, topics.events, traffic.make(1000))
    assert first.terminate() == 0
    second.wait_for_log(r"partitions of \S+: 0, 1, 2, 3$")
    produce(broker.bootstrap, topics.events, traffic.make(1000))
    assert_badges_converge(traffic, broker.bootstrap, redis_server, topics, second)
    assert second.metric("consumers_dead_letters_total") == 0


def test_the_worker_starts_without_kafka_and_redis_and_works_when_they_come(
    make_broker: Any, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    late_broker = make_broker()
    own_redis.kill()
    consumers = worker(late_broker, own_redis, ready=False)
    consumers.wait_for_http(f"{consumers.admin_url}/healthz")
    consumers.wait_for_http(f"{consumers.admin_url}/readyz", status=503)
    consumers.wait_for_log("waiting, nothing is lost: Redis at")
    own_redis.start()
    consumers.wait_for_log("no connection to Kafka at")
    late_broker.start()
    topics.create(late_broker.bootstrap)
    traffic = BadgeTraffic(topics.events)
    produce(late_broker.bootstrap, topics.events, traffic.make(300))
    assert_badges_converge(traffic, late_broker.bootstrap, own_redis, topics, consumers)
    consumers.wait_ready()


def test_the_worker_survives_a_broker_restart(
    own_broker: Broker, redis_server: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(own_broker, redis_server, **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(own_broker.bootstrap, topics.events, traffic.make(1000))
    own_broker.kill()
    consumers.wait_for_log("no connection to Kafka at", timeout=20)
    own_broker.start()
    produce(own_broker.bootstrap, topics.events, traffic.make(1000))
    assert_badges_converge(traffic, own_broker.bootstrap, redis_server, topics, consumers)
    consumers.wait_for_log("connected to Kafka at .* again", timeout=20)


def test_it_stops_in_time_while_kafka_and_redis_are_frozen(
    own_broker: Broker, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(own_broker, own_redis)
    traffic = BadgeTraffic(topics.events)
    produce(own_broker.bootstrap, topics.events, traffic.make(200))
    assert_badges_converge(traffic, own_broker.bootstrap, own_redis, topics, consumers)
    own_redis.freeze()
    produce(own_broker.bootstrap, topics.events, traffic.make(200))
    own_broker.freeze()
    assert consumers.terminate(timeout=10) == 0


def test_it_stops_in_time_while_it_waits_for_kafka(redis_server: RedisServer, topics: Topics, worker: Any) -> None:
    consumers = worker(f"127.0.0.1:{free_port()}", redis_server, ready=False)
    consumers.wait_for_log("no connection to Kafka at")
    assert consumers.terminate(timeout=10) == 0


def test_a_badge_on_the_topic_is_readable_json(
    broker: Broker, redis_server: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(broker, redis_server)
    account = topics.events
    produce(
        broker.bootstrap, topics.events, [badge_event("a", account), badge_event("b", account, 7, time=NOON_MS + 1)]
    )
    consumers.wait_for(lambda: len(read_all(broker.bootstrap, topics.badges)) > 0, what="a badge on the topic")
    consumers.wait_for(lambda: read_all(broker.bootstrap, topics.badges)[-1].event["unread"] == 7, what="the count")
    assert orjson.loads(read_all(broker.bootstrap, topics.badges)[-1].value or b"") == {
        "app_id": APP,
        "account": account,
        "unread": 7,
        "time": "2026-09-21T14:13:20.001Z",
        "event_id": "b",
        "stale": False,
    }


def test_while_redis_is_full_events_wait_and_the_worker_is_not_ready(
    broker: Broker, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(broker, own_redis, **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    with redis.Redis(port=own_redis.port) as admin:
        admin.config_set("maxmemory", 1)
        produce(broker.bootstrap, topics.events, traffic.make(200))
        consumers.wait_for_log("waiting, nothing is lost: Redis at .* its memory is full: raise its maxmemory")
        consumers.wait_for_http(f"{consumers.admin_url}/readyz", status=503)
        consumers.wait_for(lambda: consumers.metric("consumers_retries_total", cause="waiting") > 3, what="attempts")
        admin.config_set("maxmemory", 0)
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    consumers.wait_ready()
    assert consumers.metric("consumers_dead_letters_total") == 0
    assert read_all(broker.bootstrap, topics.dlq) == []


def test_a_redis_that_comes_back_empty_is_filled_again_from_the_topic(
    broker: Broker, own_redis: RedisServer, topics: Topics, worker: Any
) -> None:
    consumers = worker(broker, own_redis, **SHORT_SESSION)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(200))
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    assert consumers.terminate() == 0
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    consumers.start_ready()
    consumers.wait_for_log(r"has lost badges: .* put back from the topic")
    consumers.wait_for_log(r"badges were put back from the topic")
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    with redis.Redis(port=own_redis.port) as admin:
        admin.flushall()
    consumers.wait_for(lambda: consumers.output().count("were put back from the topic") >= 2, what="the second loss")
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
    wait_until_none_is_lost(consumers)
    settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "CONSUMERS_TOPIC": topics.events,
        "CONSUMERS_BADGES_TOPIC": topics.badges,
    }
    rebuild = [str(Path(sys.executable).parent / "consumers"), "badge", "rebuild"]
    subprocess.run(rebuild, env={**os.environ, **settings}, check=True, capture_output=True, timeout=60)
    assert_badges_converge(traffic, broker.bootstrap, own_redis, topics, consumers)
