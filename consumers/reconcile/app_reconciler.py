"""The reconciliation of one app: leases its stale badges, asks the platform about them, resolves and publishes them."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import NoReturn

from common.breaker import BreakerState, CircuitBreaker
from common.logs import fields
from common.rest.api import CallError, RestApi
from common.retry import Backoff
from consumers.badges.publishing import publish_latest
from consumers.badges.redis_connection import ForeignKeyError
from consumers.badges.store import BadgeStore, Owner
from consumers.errors import RetryLater
from consumers.metrics import RECONCILE_BREAKER_OPEN, RECONCILE_CALLS, RECONCILED_BADGES, STALE_BADGES
from consumers.reconcile.rest import unread_count
from consumers.reconcile.stale import StaleBadges
from consumers.runtime.status import WaitStatus
from consumers.worker import Context

log = logging.getLogger(__name__)

MAX_CALLS_AT_A_TIME = 50
MAX_FAILURES_IN_A_ROW = 5

_PAUSE_WHEN_IDLE_S = 0.25
_PAUSE_WHEN_BUSY_S = 0.05
_COUNT_INTERVAL_S = 5.0
_PAUSE_AFTER_OUTAGE_S = 1.0


class AppReconciler:
    """Keeps the badges of one app reconciled, for ever.

    Args:
        app_id: SdkAppid.
        api: the platform's REST API for this app.
        store: the badges.
        context: settings, producer and metrics.
        waiting: told while Redis or Kafka is away.
    """

    def __init__(self, app_id: str, api: RestApi, store: BadgeStore, context: Context, waiting: WaitStatus) -> None:
        self._app_id = app_id
        self._api = api
        self._store = store
        self._context = context
        self._waiting = waiting
        self._stale = StaleBadges(store)
        self._breaker = CircuitBreaker(max_failures=MAX_FAILURES_IN_A_ROW, open_for=Backoff(first_s=2.0, max_s=300.0))
        self._calls: set[asyncio.Task[None]] = set()
        metrics = context.metrics
        self._call_count = metrics.own_counter(RECONCILE_CALLS, app_id)
        self._badge_count = metrics.own_counter(RECONCILED_BADGES, app_id)
        self._stale_count = metrics.own_gauge(STALE_BADGES)
        stopped = metrics.own_gauge(RECONCILE_BREAKER_OPEN)
        stopped.labels(metrics.worker, app_id).set_function(
            lambda: float(self._breaker.state is not BreakerState.CLOSED)
        )

    async def run(self) -> NoReturn:
        """Work for ever; through outages of Redis too."""
        outage_waits = Backoff()
        counted_at = 0.0
        try:
            while True:
                try:
                    wait_s = await self._begin_calls()
                    if time.monotonic() - counted_at > _COUNT_INTERVAL_S:
                        counted_at = time.monotonic()
                        await self._count_stale()
                except RetryLater as error:
                    self._waiting.begin(self._app_id, str(error))
                    self._context.metrics.set_connected("redis", False)
                    wait_s = next(outage_waits)
                else:
                    self._waiting.end(self._app_id)
                    self._context.metrics.set_connected("redis", True)
                    outage_waits.reset()
                await asyncio.sleep(wait_s)
        finally:
            calls = list(self._calls)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def _begin_calls(self) -> float:
        """Lease what may be asked about now, and ask. Seconds until there may be more."""
        free = self._breaker.free(running=len(self._calls), max_running=MAX_CALLS_AT_A_TIME)
        if free <= 0:
            return _PAUSE_WHEN_BUSY_S
        settings = self._context.settings
        accounts = await self._stale.lease(
            self._app_id,
            free,
            calls_per_s=settings.reconcile_calls_per_s,
            delay_s=settings.reconcile_delay_s,
            lease_s=settings.reconcile_lease_s,
        )
        for account in accounts:
            call = asyncio.create_task(self._reconcile(Owner(self._app_id, account)))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return _PAUSE_WHEN_BUSY_S if accounts else _PAUSE_WHEN_IDLE_S

    async def _count_stale(self) -> None:
        count = await self._stale.count(self._app_id)
        self._stale_count.labels(self._context.metrics.worker, self._app_id).set(count)

    async def _reconcile(self, owner: Owner) -> None:
        try:
            await self._resolve(owner)
            await self._publish(owner)
            await self._stale.release(owner)
        except CallError as error:
            await self._call_failed(owner, error)
        except RetryLater as error:
            # Nothing is to be done for it now: it comes again when its lease has ended.
            log.debug("%s waits: %s", owner.key, error)
            self._breaker.hold(_PAUSE_AFTER_OUTAGE_S)
        except Exception as error:
            log.exception("the badge of %s cannot be reconciled", owner.key)
            if isinstance(error, ForeignKeyError):
                await self._postpone(owner, long=True)

    async def _resolve(self, owner: Owner) -> None:
        snapshot = await self._stale.snapshot(owner)
        if not snapshot.is_stale:
            self._count_badge("fresh")
            return
        unread = await unread_count(self._api, owner.account)
        self._count_call("ok")
        pause_s = self._breaker.remaining_s
        if self._breaker.succeeded():
            log.info(
                "the platform answers again for app %s",
                self._app_id,
                extra=fields("platform_answers", app=str(self._app_id)),
            )
            self._breaker.hold(pause_s)  # A call that began before the others failed does not end the pause for all.
        self._count_badge("settled" if await self._stale.resolve(owner, snapshot, unread) else "overtaken")

    async def _publish(self, owner: Owner) -> None:
        badges = [badge for badge in await self._store.update({owner: []}) if badge.exists]
        key = self._app_id, "publish"
        try:
            await publish_latest(self._context, self._store, badges)
        except RetryLater as error:
            self._waiting.begin(key, str(error))
            raise
        self._waiting.end(key)

    async def _call_failed(self, owner: Owner, error: CallError) -> None:
        self._count_call(error.error_class)
        await self._postpone(owner, long=error.error_class == "account")
        if error.error_class == "account":
            log.warning(
                "the platform does not tell the count of %s, asked again in an hour: %s",
                owner.key,
                error,
                extra=fields("platform_refuses", reason=str(error)),
            )
        elif error.error_class == "busy":
            self._breaker.hold(random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        elif self._breaker.failed(for_all=error.error_class == "refused"):
            log.error(
                "calls for app %s are stopped for %.0f s, nothing is lost: %s%s",
                self._app_id,
                self._breaker.remaining_s,
                error,
                ". See CONSUMERS_IM_APPS" if error.error_class == "refused" else "",
                extra=fields("platform_silent", app=str(self._app_id), reason=str(error)),
            )

    async def _postpone(self, owner: Owner, *, long: bool) -> None:
        try:
            await self._stale.postpone(owner, jitter=random.uniform(0.5, 1.0), long=long)  # noqa: S311 - no secret
        except RetryLater as error:
            log.debug("%s waits: %s", owner.key, error)

    def _count_call(self, outcome: str) -> None:
        self._call_count.labels(self._context.metrics.worker, self._app_id, outcome).inc()

    def _count_badge(self, outcome: str) -> None:
        self._badge_count.labels(self._context.metrics.worker, self._app_id, outcome).inc()
