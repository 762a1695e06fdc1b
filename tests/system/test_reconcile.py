"""`consumers run reconcile` as a process: a server of our own for the platform, a real Redis, a real Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.badge_model import NOON_MS, badge_event, produce
from tests.support.badges import apply_events_elsewhere
from tests.support.broker import Broker
from tests.support.im_platform import APP_ID, SECRET_KEY, ImPlatform
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until
from tests.support.workers import StartWorker


def test_without_credentials_it_says_so_and_stays_up_and_ready(start_worker: StartWorker) -> None:
    process = start_worker("reconcile", "127.0.0.1:1", CONSUMERS_REDIS_URL="redis://127.0.0.1:1/0")
    process.wait_for_log("off: CONSUMERS_IM_APPS is not set")
    assert process.terminate() == 0


@pytest.mark.slow
def test_a_count_that_no_event_tells_reaches_redis_and_the_topic_through_kill_9_at_each_step(  # noqa: PLR0917 - fixtures
    own_broker: Broker,
    own_redis: RedisServer,
    topics: Topics,
    platform: ImPlatform,
    start_worker: StartWorker,
    tmp_path: Path,
) -> None:
    topics.create(own_broker.bootstrap)
    secret = tmp_path / "apps.json"
    secret.write_text(platform.credentials())
    settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_IM_APPS_FILE": str(secret),
        "CONSUMERS_RECONCILE_DELAY_S": "0",
        "CONSUMERS_RECONCILE_LEASE_S": "1",
        "CONSUMERS_RECONCILE_TIMEOUT_S": "20",
    }
    start_worker("badges", own_broker.bootstrap, **settings)
    process = start_worker("reconcile", own_broker.bootstrap, **settings)
    platform.counts["ann"] = 3

    def last() -> dict[str, Any]:
        badges = [message.event for message in read_all(own_broker.bootstrap, topics.badges)]
        return badges[-1] if badges else {}

    def recall(number: int) -> None:
        produce(own_broker.bootstrap, topics.events, [badge_event(f"e{number}", "ann", time=NOON_MS + number)])

    recall(1)
    wait_until(lambda: last().get("unread") == 3, timeout=15, what="the number on the topic", every=0.1)
    assert last()["stale"] is False

    # While the platform is asked.
    platform.delay_s, platform.counts["ann"] = 3.0, 4
    recall(2)
    process.wait_for(lambda: in_work(own_redis), what="a call")
    process.kill()
    platform.delay_s = 0.0
    process.start_ready()
    wait_until(lambda: last().get("unread") == 4, timeout=15, what="the number on the topic", every=0.1)

    # Between Redis and Kafka.
    platform.delay_s, platform.counts["ann"] = 1.0, 5
    recall(3)
    process.wait_for(lambda: in_work(own_redis), what="a call")
    own_broker.kill()
    wait_until(lambda: unread(own_redis) == b"5", timeout=15, what="the number in Redis")
    process.kill()
    own_broker.start()
    assert last()["unread"] == 4
    process.start_ready()
    wait_until(lambda: last().get("unread") == 5, timeout=15, what="the number on the topic", every=0.1)
    assert SECRET_KEY not in process.log.read_text()


def in_work(server: RedisServer) -> bool:
    with redis.Redis(port=server.port) as client:
        return bool(client.zcard(f"im:badges:asking:{APP_ID}"))


def unread(server: RedisServer) -> bytes | None:
    with redis.Redis(port=server.port) as client:
        stored: bytes | None = client.hget(f"im:badge:{APP_ID}:ann", "unread")
    return stored


def test_a_wrong_secret_key_is_named_and_not_shown_and_a_right_one_in_its_file_is_taken(  # noqa: PLR0917 - fixtures
    broker: Broker,
    own_redis: RedisServer,
    topics: Topics,
    platform: ImPlatform,
    start_worker: StartWorker,
    tmp_path: Path,
) -> None:
    topics.create(broker.bootstrap)
    wrong = "this-is-the-wrong-secret-key"
    apps = tmp_path / "apps.json"
    apps.write_text(platform.credentials(secret_key=wrong))
    settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_IM_APPS_FILE": str(apps),
        "CONSUMERS_RECONCILE_DELAY_S": "0",
    }
    apply_events_elsewhere(own_redis, badge_event("b", "ann", time=NOON_MS - 5))
    process = start_worker("reconcile", broker.bootstrap, **settings)
    process.wait_for_log(r"calls for app 1400000000 are stopped .* error 70009.* See CONSUMERS_IM_APPS")
    assert process.metric("consumers_reconcile_breaker_open") == 1
    platform.counts["ann"] = 6
    apps.write_text(platform.credentials())
    process.wait_for(lambda: unread(own_redis) == b"6", what="the number in Redis", timeout=30)
    assert wrong not in process.log.read_text()
    assert process.terminate() == 0
