"""The reconciliation of one app on a real Redis, against a server of our own that answers as the platform does."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import pytest

from common.rest.api import RestApi
from common.rest.app import ImApp
from consumers.badges.store import BadgeStore, Owner
from consumers.metrics import Metrics
from consumers.reconcile.app_reconciler import MAX_CALLS_AT_A_TIME, AppReconciler
from consumers.reconcile.stale import StaleBadges
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings
from consumers.worker import Context, OutgoingRecord
from tests.support.badge_model import NOON_MS, badge_event, rfc3339
from tests.support.badge_worker import PATIENT_S
from tests.support.badges import apply_events, apply_events_elsewhere
from tests.support.im_platform import SECRET_KEY, ImPlatform
from tests.support.redis import RedisServer

_apps = itertools.count(1_400_100_000)


class ReconcileHarness:
    """The reconciliation of one app in this process; what it publishes is kept."""

    def __init__(self, server: RedisServer, platform: ImPlatform, **settings: Any) -> None:
        self.app_id = str(next(_apps))
        self.published: list[dict[str, Any]] = []
        self.metrics = Metrics("reconcile")
        self._settings = ConsumersSettings.model_validate(
            {"redis_url": server.url, "redis_timeout_s": PATIENT_S, "reconcile_delay_s": 0, "reconcile_timeout_s": 30}
            | settings
        )
        self._app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
        self._tasks: list[asyncio.Task[Any]] = []

    async def publish(self, _topic: str, records: list[OutgoingRecord]) -> None:
        self.published += [orjson.loads(record.value or b"") for record in records]

    async def __aenter__(self) -> ReconcileHarness:
        self.store = BadgeStore(self._settings)
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self.store.close()

    def begin(self) -> AppReconciler:
        reconciler = self.reconciler()
        self._tasks.append(asyncio.create_task(reconciler.run()))
        return reconciler

    def reconciler(self) -> AppReconciler:
        context = Context(self._settings, self, self.metrics, alone=False)  # type: ignore[arg-type]
        api = RestApi(self._session, self.app_id, lambda: self._app, timeout_s=self._settings.reconcile_timeout_s)
        waiting = WaitStatus(self.metrics.waiting.set)
        return AppReconciler(self.app_id, api, self.store, context, waiting)

    async def apply(self, *events: dict[str, Any]) -> None:
        await apply_events(self.store, *events)

    def event(self, event_id: str, account: str, unread: int | None = None, *, at: int = 0) -> dict[str, Any]:
        return badge_event(event_id, account, unread, time=NOON_MS - 1000 + at, app=self.app_id)

    async def badge(self, account: str) -> tuple[int | None, str | None, bool]:
        [badge] = await self.store.update({Owner(self.app_id, account): []})
        return badge.unread, badge.event_id, badge.stale

    async def until(self, condition: Callable[[], object], timeout: float = 60) -> None:
        """Wait until the condition is true, or what it returns is awaited to be. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                found = condition()
                if await found if isinstance(found, Awaitable) else found:
                    return
                await asyncio.sleep(0.02)

    async def until_badge(self, account: str, badge: tuple[int | None, str | None, bool]) -> None:
        async def reached() -> bool:
            return await self.badge(account) == badge

        await self.until(reached)

    @property
    def breaker_open(self) -> float | None:
        labels = {"worker": "reconcile", "app": self.app_id}
        return self.metrics.registry.get_sample_value("consumers_reconcile_breaker_open", labels)

    def count(self, name: str, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value(
                f"consumers_{name}_total", {"worker": "reconcile", "app": self.app_id, "outcome": outcome}
            )
            or 0.0
        )


@pytest.fixture
async def harness(redis_server: RedisServer, platform: ImPlatform) -> AsyncIterator[ReconcileHarness]:
    async with ReconcileHarness(redis_server, platform) as made:
        yield made


async def test_a_stale_badge_takes_the_number_of_the_platform_and_the_place_of_the_event(
    harness: ReconcileHarness, platform: ImPlatform
) -> None:
    platform.counts["ann"] = 12
    await harness.apply(harness.event("a", "ann", 3), harness.event("b", "ann", at=5))
    harness.begin()
    await harness.until_badge("ann", (12, "b", False))
    await harness.until(lambda: harness.published)
    assert harness.published == [
        {
            "app_id": harness.app_id,
            "account": "ann",
            "unread": 12,
            "time": rfc3339(NOON_MS - 995),
            "event_id": "b",
            "stale": False,
        }
    ]


async def test_events_after_the_call_decide_as_if_the_number_had_come_with_the_event(
    harness: ReconcileHarness, platform: ImPlatform
) -> None:
    platform.counts["ann"] = 12
    await harness.apply(harness.event("b", "ann", at=5))
    harness.begin()
    await harness.until_badge("ann", (12, "b", False))
    await harness.apply(harness.event("b", "ann", at=5), harness.event("old", "ann", 99, at=4))
    assert await harness.badge("ann") == (12, "b", False), "read again, and older"
    await harness.apply(harness.event("new", "ann", 1, at=6))
    assert await harness.badge("ann") == (1, "new", False)


async def test_a_newer_count_that_came_meanwhile_stands(
    harness: ReconcileHarness, platform: ImPlatform, redis_server: RedisServer
) -> None:
    platform.counts["ann"] = 12
    platform.before_answer = lambda _: apply_events_elsewhere(redis_server, harness.event("new", "ann", 4, at=9))
    await harness.apply(harness.event("b", "ann", at=5))
    harness.begin()
    await harness.until(lambda: harness.count("reconciled_badges", "overtaken"))
    assert await harness.badge("ann") == (4, "new", False)
    await harness.until(lambda: harness.published)
    assert harness.published[-1]["unread"] == 4


async def test_a_badge_that_became_stale_anew_meanwhile_is_asked_about_again(
    harness: ReconcileHarness, platform: ImPlatform, redis_server: RedisServer
) -> None:
    platform.counts["ann"] = 12

    def once(_: str) -> None:
        if platform.asked("ann") == 1:
            apply_events_elsewhere(redis_server, harness.event("c", "ann", at=9))
            platform.counts["ann"] = 13

    platform.before_answer = once
    await harness.apply(harness.event("b", "ann", at=5))
    harness.begin()
    await harness.until_badge("ann", (13, "c", False))
    assert platform.asked("ann") == 2


async def test_an_account_that_the_platform_does_not_know_holds_up_no_other(
    harness: ReconcileHarness, platform: ImPlatform
) -> None:
    platform.counts |= {f"user-{number}": number for number in range(30)}
    await harness.apply(harness.event("b", "nobody"), *(harness.event("b", f"user-{number}") for number in range(30)))
    harness.begin()
    for number in range(30):
        await harness.until_badge(f"user-{number}", (number, "b", False))
    assert platform.asked("nobody") == 1
    assert await harness.badge("nobody") == (None, None, True)


async def test_a_call_that_fails_is_repeated_until_it_succeeds(harness: ReconcileHarness, platform: ImPlatform) -> None:
    platform.counts["ann"] = 2
    faults: list[int | str] = [60011, 91000, "http:502"]
    platform.fault = lambda _: faults.pop() if faults else None
    await harness.apply(harness.event("b", "ann"))
    harness.begin()
    await harness.until_badge("ann", (2, "b", False))
    assert platform.asked("ann") == 4
    assert (harness.count("reconcile_calls", "failing"), harness.count("reconcile_calls", "busy")) == (2, 1)


async def test_after_a_refused_signature_no_other_account_is_asked_about_for_a_while(
    harness: ReconcileHarness, platform: ImPlatform
) -> None:
    platform.counts |= {f"user-{number}": 1 for number in range(200)}
    platform.fault = lambda _: 60002
    await harness.apply(*(harness.event("b", f"user-{number}") for number in range(200)))
    reconciler = harness.begin()
    # The calls that had begun have ended too: else some of them would be answered now.
    await harness.until(lambda: harness.breaker_open == 1 and not reconciler._calls)
    platform.fault = lambda _: None
    await harness.until(lambda: harness.count("reconciled_badges", "settled") == 200)
    assert harness.breaker_open == 0
    refused = [at for at, _, code in platform.calls if code == 60002]
    answered = [at for at, _, code in platform.calls if code == 0]
    assert 1 <= len(refused) <= MAX_CALLS_AT_A_TIME, "those that had begun"
    assert min(answered) - refused[0] > 0.95, "the shortest pause is a second"


async def test_a_call_that_began_before_the_others_failed_does_not_end_the_pause(
    harness: ReconcileHarness, platform: ImPlatform
) -> None:
    platform.counts["ann"] = 2
    await harness.apply(harness.event("b", "ann"))
    reconciler = harness.reconciler()
    reconciler._breaker._now = lambda: 0.0
    reconciler._breaker.failed(for_all=True)
    pause_s = reconciler._breaker.remaining_s
    assert pause_s > 0
    await reconciler._resolve(Owner(harness.app_id, "ann"))
    assert harness.breaker_open == 0
    assert reconciler._breaker.remaining_s == pause_s
    assert await reconciler._begin_calls() > 0
    assert platform.asked("ann") == 1


async def test_the_rate_of_calls_is_kept_by_all_processes_together(
    redis_server: RedisServer, platform: ImPlatform
) -> None:
    platform.rate = 1000
    accounts = [f"user-{number}" for number in range(80)]
    platform.counts |= dict.fromkeys(accounts, 7)
    async with ReconcileHarness(redis_server, platform, reconcile_calls_per_s=40) as harness:
        await harness.apply(*(harness.event("b", account) for account in accounts))
        began = time.monotonic()
        for _ in range(3):
            harness.begin()
        await harness.until(lambda: harness.count("reconciled_badges", "settled") == 80)
        assert time.monotonic() - began > 76 / 40 * 0.95, "a tenth of a second's worth comes at once"
        assert harness.count("reconcile_calls", "busy") == 0
        assert len(platform.calls) == 80, "each was asked about once"


async def test_a_badge_that_was_resolved_and_not_published_is_published_when_its_lease_has_ended(
    harness: ReconcileHarness, platform: ImPlatform
) -> None:
    """As `kill -9` between the write to Redis and the confirmation of Kafka leaves it."""
    stale, owner = StaleBadges(harness.store), Owner(harness.app_id, "ann")
    await harness.apply(harness.event("b", "ann"))
    assert await stale.lease(harness.app_id, 9, calls_per_s=100, delay_s=0, lease_s=1) == ["ann"]
    assert await stale.resolve(owner, await stale.snapshot(owner), 5)
    harness.begin()
    await harness.until(lambda: harness.published)
    assert harness.published[0]["unread"] == 5
    assert not platform.calls

    async def none_is_stale() -> bool:
        return await stale.count(harness.app_id) == 0

    await harness.until(none_is_stale)


async def test_of_a_badge_that_is_gone_nothing_is_published(
    harness: ReconcileHarness, redis_server: RedisServer
) -> None:
    """As where Redis has lost it, and has kept the set of those that are stale."""
    await harness.apply(harness.event("b", "ann"))
    with redis_server.connect() as admin:
        admin.delete(f"im:badge:{harness.app_id}:ann")
    harness.begin()

    async def none_is_stale() -> bool:
        return await StaleBadges(harness.store).count(harness.app_id) == 0

    await harness.until(none_is_stale)
    assert harness.published == []
