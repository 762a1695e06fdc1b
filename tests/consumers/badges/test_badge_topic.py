"""What is read back from the topic of badges, in a real Kafka: in order, and also what was written over."""

from __future__ import annotations

import time

import msgspec
import pytest
from aiokafka import ConsumerRecord
from confluent_kafka import Producer

from consumers.badges.badge_topic import BadgeTopic, PublishedBadge, published_badge
from consumers.badges.store import Badge, Owner
from consumers.settings import ConsumersSettings
from tests.support.badge_model import APP, NOON_MS, rfc3339
from tests.support.broker import Broker
from tests.support.topic import Topics, create_topic

NOW_MS = int(time.time() * 1000)
Written = tuple[str, int | None, int]
"""Account, minute of the badge (None: a tombstone), seconds ago."""


def write(broker: Broker, topics: Topics, *rows: Written) -> None:
    create_topic(broker.bootstrap, topics.badges)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for account, minute, seconds_ago in rows:
        at = None if minute is None else rfc3339(NOON_MS + minute * 60_000)
        badge = Badge(APP, account, minute, at, f"e{minute}", False)
        value = None if minute is None else msgspec.json.encode(badge)
        key = f"{APP}:{account}".encode()
        producer.produce(topics.badges, value, key, partition=0, timestamp=NOW_MS - seconds_ago * 1000)
    assert producer.flush(30) == 0


async def read(broker: Broker, topics: Topics, **options: int) -> list[tuple[str, int | None]]:
    settings = ConsumersSettings.model_validate(
        {"kafka_bootstrap_servers": broker.bootstrap, "badges_topic": topics.badges}
    )
    found: list[PublishedBadge] = []
    async for badges in BadgeTopic(settings).read(**options):
        owners = [one.owner for one in badges]
        assert len(owners) == len(set(owners))
        found += badges
    return [(one.owner.account, one.badge.unread if one.badge else None) for one in found]


async def test_the_newest_badge_is_read_also_where_an_older_one_was_written_after_it(
    broker: Broker, topics: Topics
) -> None:
    write(broker, topics, ("ann", 1, 9), ("ann", 5, 8), ("bob", 2, 7), ("ann", 3, 6))
    assert await read(broker, topics) == [("ann", 5), ("bob", 2), ("ann", 3)]


async def test_a_badge_that_was_let_go_is_told_as_such(broker: Broker, topics: Topics) -> None:
    write(broker, topics, ("ann", 1, 9), ("ann", None, 8), ("bob", 2, 7), ("bob", None, 6), ("bob", 1, 5))
    assert await read(broker, topics) == [("ann", None), ("bob", None), ("bob", 1)]
    assert Owner.of_key(f"{APP}:a:b") == Owner(APP, "a:b")
    with pytest.raises(ValueError, match="no SdkAppid"):
        Owner.of_key("raw")


async def test_the_last_ones_are_read_and_what_was_written_since_a_time(broker: Broker, topics: Topics) -> None:
    write(broker, topics, *[(f"a{number}", number, 100 - number) for number in range(50)])
    assert len(await read(broker, topics, last=5)) == 5
    assert len(await read(broker, topics, last=5, since_ms=NOW_MS - 70_000)) == 20
    assert len(await read(broker, topics, last=30, since_ms=NOW_MS - 60_000)) == 30
    assert len(await read(broker, topics, last=5, since_ms=NOW_MS + 60_000)) == 5


@pytest.mark.parametrize(
    "other",
    [
        {"time": "2026-11-26T10:00:00.000"},
        {"time": "2026-11-26T10:00:00Z"},
        {"time": "2026-11-26T18:00:00.000+08:00"},
        {"time": None},
        {"event_id": None},
        {"unread": None},
        {"unread": -1},
        {"unread": 2**64},
    ],
    ids=str,
)
def test_what_somebody_else_has_written_to_the_topic_is_no_badge(other: dict[str, object]) -> None:
    badge = {"app_id": APP, "account": "ann", "unread": 3, "event_id": "e", "stale": False}
    badge["time"] = "2026-11-26T10:00:00.000Z"

    def read(value: object) -> PublishedBadge | None:
        body = msgspec.json.encode(value)
        return published_badge(ConsumerRecord("im.badges", 0, 0, NOW_MS, 0, b"raw", body, 0, 3, len(body), ()))

    assert read(badge) is not None
    assert read(badge | {"unread": None, "time": None, "event_id": None, "stale": True}) is not None
    assert read(badge | other) is None
