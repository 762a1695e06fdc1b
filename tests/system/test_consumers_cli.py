"""The command `consumers`, as an operator types it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import redis

from tests.support.badge_model import APP, NOON_MS, badge_event, expected, produce
from tests.support.badges import BadgeTraffic, badges_in_redis, badges_on_topic
from tests.support.broker import Broker
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all

CONSUMERS = Path(sys.executable).parent / "consumers"


def consumers(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CONSUMERS_")}
    return subprocess.run(
        [CONSUMERS, *arguments],
        env={**env, "COLUMNS": "200", "CONSUMERS_ADMIN_PORT": "0", **settings},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def give(server: RedisServer, account: str, app: str = APP, **fields: str) -> None:
    with redis.Redis(port=server.port) as client:
        client.sadd("im:badges:apps", app)
        client.hset(f"im:badge:{app}:{account}", mapping=fields)


def test_settings_are_listed_with_their_defaults() -> None:
    done = consumers("settings")
    assert done.returncode == 0
    assert "CONSUMERS_REDIS_URL" in done.stdout
    assert "redis://localhost:6379/0" in done.stdout


def test_a_badge_is_printed(redis_server: RedisServer, topics: Topics) -> None:
    account = topics.events
    give(redis_server, account, unread="7", time=str(NOON_MS), event_id="abc", stale="0")
    done = consumers("badge", "get", account, CONSUMERS_REDIS_URL=redis_server.url)
    assert done.returncode == 0, done.stderr
    assert "unread   7\n" in done.stdout
    as_json = consumers("badge", "get", account, "--app", APP, "--json", CONSUMERS_REDIS_URL=redis_server.url)
    assert orjson.loads(as_json.stdout) == {
        "app_id": APP,
        "account": account,
        "unread": 7,
        "time": "2026-09-21T14:13:20.000Z",
        "event_id": "abc",
        "stale": False,
    }


def test_a_badge_that_does_not_exist_is_said_so(redis_server: RedisServer, topics: Topics) -> None:
    account = topics.events
    done = consumers("badge", "get", account, CONSUMERS_REDIS_URL=redis_server.url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: no badge of {account} in any app")


def test_a_badge_that_was_lost_is_said_to_be_lost(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port) as client:
        client.hset("im:badges:state", mapping={"id": "x", "lost_at": str(NOON_MS)})
    done = consumers("badge", "get", "ann", CONSUMERS_REDIS_URL=own_redis.url)
    assert done.returncode == 1
    as_pasted = shlex.quote(str(CONSUMERS))
    assert f"Redis has lost its badges (2026-09-21T14:13:20.000Z), run `{as_pasted} badge rebuild`" in done.stderr


def test_an_account_of_two_apps_needs_the_app(redis_server: RedisServer, topics: Topics) -> None:
    account = topics.events
    for app in (APP, "1400000001"):
        give(redis_server, account, app, unread="7", time=str(NOON_MS), event_id="abc", stale="0")
    done = consumers("badge", "get", account, CONSUMERS_REDIS_URL=redis_server.url)
    assert done.returncode == 1
    assert "name one with --app" in done.stderr
    assert "app      1400000001" in (
        consumers("badge", "get", account, "--app", "1400000001", CONSUMERS_REDIS_URL=redis_server.url).stdout
    )


@pytest.mark.parametrize("arguments", [("badge", "get", "ann"), ("badge", "rebuild")])
def test_a_redis_that_is_away_is_named_without_its_password(arguments: tuple[str, ...]) -> None:
    url = f"redis://me:hidden@127.0.0.1:{free_port()}/0"
    done = consumers(*arguments, CONSUMERS_REDIS_URL=url)
    assert done.returncode == 1
    assert "redis://me:**********@127.0.0.1" in done.stderr
    assert "nothing listens there" in done.stderr
    assert "CONSUMERS_REDIS_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hidden" not in done.stdout + done.stderr
    assert "Unclosed" not in done.stderr


@pytest.mark.parametrize("arguments", [("badge", "rebuild"), ("dlq", "list"), ("dlq", "show", "0-1")])
def test_a_kafka_that_is_away_is_told_and_nothing_of_what_goes_on_inside(
    arguments: tuple[str, ...], redis_server: RedisServer
) -> None:
    kafka = f"127.0.0.1:{free_port()}"
    done = consumers(*arguments, CONSUMERS_REDIS_URL=redis_server.url, CONSUMERS_KAFKA_BOOTSTRAP_SERVERS=kafka)
    assert done.returncode == 1
    assert "nothing listens there" in done.stderr
    assert kafka in done.stderr
    assert "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "KafkaError: KafkaError" not in done.stderr
    assert not re.search("Traceback|asyncio|Unclosed", done.stderr)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://:a/hidden@localhost:6379"])
def test_a_wrong_address_of_redis_is_explained_without_its_password(url: str) -> None:
    done = consumers("badge", "get", "ann", CONSUMERS_REDIS_URL=url)
    assert done.returncode == 2
    assert "CONSUMERS_REDIS_URL" in done.stderr
    assert "hidden" not in done.stdout + done.stderr


def test_a_worker_that_does_not_exist_is_explained() -> None:
    done = consumers("run", "badgers")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no worker badgers (is badges meant?): take badges")
    assert "Traceback" not in done.stderr


def test_a_key_that_is_no_badge_is_explained(redis_server: RedisServer, topics: Topics) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.set(f"im:badge:{APP}:{topics.events}", "a string")
    done = consumers("badge", "get", topics.events, "--app", APP, CONSUMERS_REDIS_URL=redis_server.url)
    assert done.returncode == 1
    assert "delete that key" in done.stderr


def test_rebuild_makes_the_badges_anew(broker: Broker, own_redis: RedisServer, topics: Topics) -> None:
    topics.create(broker.bootstrap)
    traffic = BadgeTraffic(topics.events)
    other = badge_event("x", "x", 1) | {"type": "im.group.created"}
    produce(broker.bootstrap, topics.events, [b"no event", None, other, *traffic.make(2000)])
    done = consumers(
        "badge",
        "rebuild",
        CONSUMERS_REDIS_URL=own_redis.url,
        CONSUMERS_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
        CONSUMERS_TOPIC=topics.events,
        CONSUMERS_BADGES_TOPIC=topics.badges,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2003 records read, 2000 events about badges applied, 2 were no events\n"
    right = expected(traffic.events)
    assert badges_in_redis(own_redis, traffic.accounts) == right
    assert badges_on_topic(broker.bootstrap, topics, traffic.accounts) == right


def test_rebuild_of_a_topic_that_does_not_exist_says_so(
    broker: Broker, redis_server: RedisServer, topics: Topics
) -> None:
    settings = {
        "CONSUMERS_REDIS_URL": redis_server.url,
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "CONSUMERS_TOPIC": topics.events,
        "CONSUMERS_BADGES_TOPIC": topics.badges,
    }
    done = consumers("badge", "rebuild", **settings)
    assert done.returncode == 1
    assert f"the topic {topics.events} does not exist: set CONSUMERS_TOPIC" in done.stderr
    assert read_all(broker.bootstrap, topics.badges) == []


@pytest.mark.parametrize("worker", ["badges", "reconcile", "examples.push_worker:Push"])
def test_an_address_that_a_worker_would_ignore_is_refused(worker: str) -> None:
    done = consumers("run", worker, "--url", "http://localhost/")
    assert done.returncode == 2
    assert done.stderr == f"error: --url is for forward alone, {worker} would ignore it\n"
