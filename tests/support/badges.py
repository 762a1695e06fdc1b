"""Badges seen from outside: traffic that changes them, what Redis and the topic hold, and what they ought to hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Protocol

import orjson
import pytest
import redis
from redis.exceptions import RedisClusterException

from consumers.badges.badge_event import collect, read_badge_event
from consumers.badges.badge_topic import PublishedBadge
from consumers.badges.store import Badge, BadgeStore, Owner
from consumers.errors import RetryLater
from consumers.settings import ConsumersSettings
from tests.support.badge_model import APP, NOON_MS, READ, RECALLED, SENT, badge_event, expected, rfc3339
from tests.support.commands import Command
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until

SHORT_SESSION = {"CONSUMERS_SESSION_TIMEOUT_MS": "6000"}
"""Settings with which a worker that was killed loses its partitions soon."""


class BadgeTraffic:
    """Makes events of 40 accounts; the same for the same name.

    `accounts` are their names, `events` all that were made, which is what the badges must come from.
    """

    def __init__(self, name: str) -> None:
        self._random = random.Random(name)
        self.accounts = [f"{name}-{number}" for number in range(40)]
        self.events: list[dict[str, Any]] = []

    def make(self, count: int) -> list[dict[str, Any]]:
        """Events more: counts that are right, negative and absent, times that are late and absent, repetitions."""
        made = [self._event() for _ in range(count)]
        self.events += made
        return made

    def _event(self) -> dict[str, Any]:
        pick = self._random
        if self.events and pick.random() < 0.1:
            return pick.choice(self.events[-5:])
        received = NOON_MS + len(self.events) * 1000
        return badge_event(
            f"{pick.getrandbits(64):016x}",
            pick.choice(self.accounts),
            pick.choice([None, -1, *range(20)]),
            time=pick.choice([None, received - pick.randrange(60_000), received - 500]),
            received=received,
            kind=pick.choice([RECALLED, SENT, READ]),
        )


class FakeTopic:
    """The topic of badges as it is read back: `badges`, with the times of their writing."""

    def __init__(self) -> None:
        self.badges: list[PublishedBadge] = []
        self.times_read_whole = 0

    async def read(
        self, *, last: int | None = None, since_ms: int | None = None
    ) -> AsyncIterator[list[PublishedBadge]]:
        self.times_read_whole += last is None
        at = len(self.badges) - (last or len(self.badges))
        for number, one in enumerate(self.badges):
            if number >= at or (since_ms is not None and one.written_ms >= since_ms):
                yield [one]

    def add(self, badge: Badge, written_ms: int) -> None:
        time_ms = None if badge.time is None else round(datetime.fromisoformat(badge.time).timestamp() * 1000)
        self.badges.append(PublishedBadge(badge.owner, badge, time_ms, written_ms))

    def let_go(self, owner: Owner, written_ms: int) -> None:
        """Write a tombstone."""
        self.badges.append(PublishedBadge(owner, None, None, written_ms))


async def apply_events(store: BadgeStore, *events: dict[str, Any]) -> None:
    """Bring the badges in Redis up to date with one batch of events, as the worker does it."""
    read = [read_badge_event(orjson.dumps(event)) for event in events]
    if of_owner := collect(one for one in read if one is not None):
        await store.update(of_owner)


def apply_events_elsewhere(server: RedisServer, *events: dict[str, Any]) -> None:
    """Bring the badges in Redis up to date from a thread with a connection of its own, as another process would.

    It returns when that is done.
    """

    async def apply() -> None:
        store = BadgeStore(ConsumersSettings.model_validate({"redis_url": server.url}))
        await apply_events(store, *events)
        await store.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, apply()).result()


class BadgeHome(Protocol):
    """Where badges are: a server, a cluster, or whoever the Sentinels name."""

    def connect(self) -> Any:
        """A client, whose answers are text. Raises RedisError, RedisClusterException."""


def badges_in_redis(home: BadgeHome, accounts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Account → its badge in Redis, in the form of the model; empty while Redis is away."""
    try:
        with home.connect() as client:
            stored = {account: client.hgetall(f"im:badge:{APP}:{account}") for account in accounts}
    except (redis.RedisError, RedisClusterException):
        return {}
    return {
        account: {
            "unread": int(badge["unread"]) if "unread" in badge else None,
            "time": rfc3339(int(badge["time"])) if "time" in badge else None,
            "event_id": badge.get("event_id"),
            "stale": badge["stale"] == "1",
        }
        for account, badge in stored.items()
        if badge
    }


def badges_on_topic(bootstrap: str, topics: Topics, accounts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Account → last record of its badge on the topic, in the form of the model."""
    last = {message.key: message for message in read_all(bootstrap, topics.badges)}
    badges = [(message, message.event) for message in last.values()]
    for message, badge in badges:
        assert message.key == f"{badge['app_id']}:{badge['account']}".encode()
        assert set(badge) == {"app_id", "account", "unread", "time", "event_id", "stale"}
    wanted = set(accounts)
    return {
        badge["account"]: {name: badge[name] for name in ("unread", "time", "event_id", "stale")}
        for _, badge in badges
        if badge["account"] in wanted
    }


def wait_until_all_is_handled(worker: Command, events: int) -> None:
    """Wait until a worker has counted so many events, and nothing is left to it.

    Badges are right before that: the last events may change none, and what is published is counted when Kafka has
    confirmed it.
    """

    def is_done() -> bool:
        counted = worker.metric("consumers_handled_events_total") >= events
        return counted and worker.metric("consumers_oldest_unhandled_seconds") == 0

    worker.wait_for(is_done, timeout=20, what="the count of all events")


def wait_until_none_is_lost(worker: Command) -> None:
    """Wait until nothing is lost any more, as this worker sees it.

    That a loss is over each worker learns at its next look at Redis, which may be after all badges are right.
    """
    worker.wait_for(lambda: worker.metric("consumers_badges_lost") == 0, timeout=40, what="nothing lost")


def assert_badges_converge(
    traffic: BadgeTraffic, bootstrap: str, server: BadgeHome, topics: Topics, worker: Command
) -> None:
    """Wait until the badges in Redis and on the topic are those of the model. Raises TimeoutError."""
    right = expected(traffic.events)
    assert right, "the traffic changes badges"
    try:
        worker.wait_for(
            lambda: badges_in_redis(server, traffic.accounts) == right, timeout=40, what="the right badges in Redis"
        )
        wait_until(
            lambda: badges_on_topic(bootstrap, topics, traffic.accounts) == right,
            timeout=20,
            what="the badges of Redis on the topic",
            every=0.2,
        )
    except TimeoutError as error:
        found = badges_in_redis(server, traffic.accounts)
        wrong = {
            account: (badge, found.get(account)) for account, badge in right.items() if found.get(account) != badge
        }
        error.add_note(f"handled: {worker.metric('consumers_handled_events_total'):g} of {len(traffic.events)} events")
        error.add_note(
            f"{len(wrong)} of {len(right)} badges in Redis are wrong, (right, found): {list(wrong.items())[:3]}"
        )
        raise


async def said_of(url: str, *, timeout_s: float = 5) -> str:
    """What a worker waits for that is given this Redis."""
    store = BadgeStore(ConsumersSettings.model_validate({"redis_url": url, "redis_timeout_s": timeout_s}))
    try:
        with pytest.raises(RetryLater) as caught:
            await store.check()
    finally:
        await store.close()
    return str(caught.value)
