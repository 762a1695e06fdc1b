"""Promise: the badge is the same for any order of arrival, any duplicates and any crash."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.badges.store import BadgeStore, Owner
from consumers.settings import ConsumersSettings
from tests.support.badge_model import ALL_READ, APP, NOON_MS, READ, RECALLED, SENT, badge_event, expected
from tests.support.badges import apply_events
from tests.support.redis import RedisServer

MINUTE_MS = 60_000

_examples = itertools.count(1)


class SyncBadgeStore:
    """The store for tests without an event loop, which hypothesis needs."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._store = self._runner.run(self._open(url))

    async def _open(self, url: str) -> BadgeStore:
        return BadgeStore(ConsumersSettings.model_validate({"redis_url": url}))

    def handle(self, batch: list[dict[str, Any]]) -> None:
        self._runner.run(apply_events(self._store, *batch))

    def badges(self, accounts: list[str]) -> dict[str, dict[str, Any]]:
        stored = self._runner.run(self._store.update({Owner(APP, account): [] for account in accounts}))
        return {
            badge.account: {
                "unread": badge.unread,
                "time": badge.time,
                "event_id": badge.event_id,
                "stale": badge.stale,
            }
            for badge in stored
            if badge.unread is not None or badge.stale
        }

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


@pytest.fixture(scope="module")
def sync_store(redis_server: RedisServer) -> Iterator[SyncBadgeStore]:
    store = SyncBadgeStore(redis_server.url)
    yield store
    store.close()


callbacks = st.fixed_dictionaries(
    {
        "account": st.sampled_from(["ann", "bob"]),
        "kind": st.sampled_from([RECALLED, SENT, READ, ALL_READ]),
        "unread": st.one_of(st.none(), st.just(-1), st.integers(0, 9)),
        "result": st.sampled_from([0, 0, 0, 120_001]),
        # None: the body has no time. Else relative to NOON_MS, with ties, with some far ahead of their receipt.
        "time": st.one_of(st.none(), st.integers(-3, 3), st.integers(5 * MINUTE_MS - 2, 9 * MINUTE_MS)),
        # Each delivery by the platform, relative to NOON_MS; every one may be on the topic more than once.
        "received": st.lists(st.integers(0, 6 * MINUTE_MS), min_size=1, max_size=3),
        "copies": st.integers(1, 2),
    }
)


def deliveries(callback: dict[str, Any], number: int, example: int) -> list[dict[str, Any]]:
    data = {"send_msg_result": callback["result"]} if callback["kind"] == SENT else {}
    unread = callback["unread"] if callback["kind"] != ALL_READ else None
    time = callback["time"]
    return [
        badge_event(
            f"{number * 7919 % 64:02x}",
            f"{callback['account']}-{example}",
            unread,
            time=None if time is None else NOON_MS + time,
            received=NOON_MS + received,
            kind=callback["kind"],
            **data,
        )
        for received in callback["received"]
        for _ in range(callback["copies"])
    ]


@settings(max_examples=300, deadline=None)
@given(data=st.data(), made=st.lists(callbacks, min_size=1, max_size=14))
def test_badges_converge_under_shuffled_duplicated_negative_absent_and_future_dated_counts(
    sync_store: SyncBadgeStore, data: st.DataObject, made: list[dict[str, Any]]
) -> None:
    example = next(_examples)
    arrived = [event for number, callback in enumerate(made) for event in deliveries(callback, number, example)]
    topic = data.draw(st.permutations(arrived))
    size = data.draw(st.integers(1, 8))
    batches = [topic[start : start + size] for start in range(0, len(topic), size)]

    # A crash after each batch, before or after some of the commits: the next process begins at any earlier batch.
    at = 0
    crashes = data.draw(st.lists(st.integers(0, len(batches) - 1), max_size=6))
    while at < len(batches):
        sync_store.handle(batches[at])
        at += 1
        if crashes:
            at = min(at, crashes.pop())

    accounts = [f"{name}-{example}" for name in ("ann", "bob")]
    assert sync_store.badges(accounts) == expected(topic)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), made=st.lists(callbacks, min_size=1, max_size=14))
def test_the_order_of_arrival_of_callbacks_delivered_once_does_not_matter(
    sync_store: SyncBadgeStore, data: st.DataObject, made: list[dict[str, Any]]
) -> None:
    badges = []
    for _ in range(2):
        example = next(_examples)
        once = [callback | {"received": callback["received"][:1]} for callback in made]
        arrived = [event for number, callback in enumerate(once) for event in deliveries(callback, number, example)]
        sync_store.handle(data.draw(st.permutations(arrived)))
        stored = sync_store.badges([f"{name}-{example}" for name in ("ann", "bob")])
        badges.append({account.partition("-")[0]: badge for account, badge in stored.items()})
    assert badges[0] == badges[1]
