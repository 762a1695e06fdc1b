"""The sets of stale badges in Redis: who is asked about, how often, and by whom."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from consumers.badges.store import BadgeStore, Owner
from consumers.reconcile.stale import StaleBadges
from tests.support.badge_model import NOON_MS, badge_event
from tests.support.badges import apply_events

_apps = itertools.count(1_400_200_000)


@pytest.fixture
def app_id() -> str:
    return str(next(_apps))


@pytest.fixture
def stale(store: BadgeStore) -> StaleBadges:
    return StaleBadges(store)


async def lease(stale: StaleBadges, app_id: str, max_accounts: int = 9, **changes: float) -> list[str]:
    limits: dict[str, Any] = {"calls_per_s": 100, "delay_s": 0, "lease_s": 60, **changes}
    return await stale.lease(app_id, max_accounts, **limits)


async def make_stale(store: BadgeStore, app_id: str, *accounts: str) -> None:
    await apply_events(store, *(badge_event("b", account, time=NOON_MS - 1000, app=app_id) for account in accounts))


async def test_a_newer_count_takes_a_badge_off_the_stale_ones(
    store: BadgeStore, stale: StaleBadges, app_id: str
) -> None:
    await make_stale(store, app_id, "ann", "bob")
    assert await stale.count(app_id) == 2
    await apply_events(store, badge_event("c", "ann", 3, time=NOON_MS, app=app_id))
    assert await lease(stale, app_id) == ["bob"]


async def test_an_account_is_leased_once_until_it_is_postponed_or_its_lease_ends(
    store: BadgeStore, stale: StaleBadges, app_id: str
) -> None:
    await make_stale(store, app_id, "ann")
    assert await lease(stale, app_id, lease_s=0) == ["ann"]
    assert await lease(stale, app_id) == ["ann"], "its lease has ended"
    assert await lease(stale, app_id) == []
    assert await stale.count(app_id) == 1, "it is stale as long as it is asked about"
    await stale.postpone(Owner(app_id, "ann"), jitter=0)
    assert await lease(stale, app_id) == ["ann"]
    await stale.postpone(Owner(app_id, "ann"), jitter=1)
    assert await lease(stale, app_id) == [], "postponed by a second at least"


async def test_a_released_account_is_stale_no_more_unless_it_became_so_meanwhile(
    store: BadgeStore, stale: StaleBadges, app_id: str
) -> None:
    await make_stale(store, app_id, "ann", "bob")
    assert await lease(stale, app_id) == ["ann", "bob"]
    await make_stale(store, app_id, "bob")
    await apply_events(store, badge_event("c", "bob", time=NOON_MS, app=app_id))
    for account in ("ann", "bob"):
        await stale.release(Owner(app_id, account))
    assert await lease(stale, app_id) == ["bob"]


async def test_a_badge_is_not_asked_about_before_its_delay(store: BadgeStore, stale: StaleBadges, app_id: str) -> None:
    await make_stale(store, app_id, "ann")
    assert await lease(stale, app_id, delay_s=3600) == []
    assert await lease(stale, app_id, delay_s=0) == ["ann"]


async def test_no_more_accounts_are_leased_than_the_rate_of_calls_allows(
    store: BadgeStore, stale: StaleBadges, app_id: str
) -> None:
    await make_stale(store, app_id, *(f"user-{number:02}" for number in range(30)))
    assert len(await lease(stale, app_id, 30, calls_per_s=40)) == 4, "a tenth of a second's worth comes at once"
    assert len(await lease(stale, app_id, 30, calls_per_s=0.001)) == 0
    assert len(await lease(stale, app_id, 2, calls_per_s=1000)) <= 2


async def test_a_number_is_written_only_while_the_badge_is_as_in_the_snapshot(
    store: BadgeStore, stale: StaleBadges, app_id: str
) -> None:
    owner = Owner(app_id, "ann")
    await make_stale(store, app_id, "ann")
    old = await stale.snapshot(owner)
    await apply_events(store, badge_event("c", "ann", time=NOON_MS, app=app_id))
    assert not await stale.resolve(owner, old, 5)
    new = await stale.snapshot(owner)
    assert new.is_stale
    assert await stale.resolve(owner, new, 6)
    [badge] = await store.update({owner: []})
    assert (badge.unread, badge.event_id, badge.stale) == (6, "c", False)
    fresh = await stale.snapshot(owner)
    assert not fresh.is_stale
    assert not await stale.resolve(owner, fresh, 7), "a badge that is not stale wants no number"
