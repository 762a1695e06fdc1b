"""A badges worker that is stopped for longer than its group waits, and goes on when another has its partitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.badge_model import NOON_MS, badge_event, expected, produce
from tests.support.badges import SHORT_SESSION, badges_on_topic
from tests.support.broker import Broker
from tests.support.redis import RedisServer
from tests.support.stopping import stopping_badges
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until


def test_what_a_worker_writes_after_another_has_taken_over_is_put_right_at_once(
    broker: Broker, redis_server: RedisServer, topics: Topics, start_worker: Any, tmp_path: Path
) -> None:
    account = topics.group
    topics.create(broker.bootstrap, partitions=1)
    switch = tmp_path / "stop"
    settings = {
        "CONSUMERS_REDIS_URL": redis_server.url,
        "CONSUMERS_GROUP": topics.group,
        "PYTHONPATH": str(Path(stopping_badges.__file__).parent),
        stopping_badges.SWITCH: str(switch),
        **SHORT_SESSION,
    }
    stopped = start_worker("stopping_badges:StoppingBadges", broker.bootstrap, **settings)
    events = [
        badge_event(f"e{number}", account, number, time=NOON_MS + number, received=NOON_MS + 60_000)
        for number in range(3)
    ]

    def is_on_topic(number: int) -> bool:
        return badges_on_topic(broker.bootstrap, topics, [account]) == expected(events[: number + 1])

    produce(broker.bootstrap, topics.events, events[:1])
    stopped.wait_for(lambda: is_on_topic(0), what="the first badge")
    switch.touch()
    produce(broker.bootstrap, topics.events, events[1:2])
    wait_until(lambda: not switch.exists(), timeout=20, what="a worker that is stopped")
    successor = start_worker("badges", broker.bootstrap, **settings)
    produce(broker.bootstrap, topics.events, events[2:])
    successor.wait_for(lambda: is_on_topic(2), timeout=60, what="the badge of a worker that took over")
    stopped.thaw()

    def newest_follows_older() -> bool:
        written = [one.event["unread"] for one in read_all(broker.bootstrap, topics.badges)]
        return 1 in written[written.index(2) :] and written[-1] == 2

    stopped.wait_for(newest_follows_older, timeout=20, what="the newest badge after the older one")
