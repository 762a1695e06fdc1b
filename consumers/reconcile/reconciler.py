"""Asks the platform for the counts that no event told, and so makes stale badges fresh: `consumers run reconcile`.

Its work lies in Redis, in the sets of stale.py, and not in a topic: the step that makes a badge stale puts it there, so
none is forgotten; each is retried by itself, for as long as it is stale, and none waits behind another. (From
`im.badges` a partition would have to wait for the one account that the platform does not know.) For each account:

1. It is taken, for a minute, from the stale ones to those asked about. Any number of processes may run; the rate of
   calls is kept for all of them together.
2. The badge is seen as it is: its time and id, and those of the event that made it stale.
3. The platform is asked.
4. Its number is written, in one step with the check that the badge still is as it was seen. If a newer event came
   meanwhile that decides: its count stands, or the badge is stale anew and comes again.
5. The badge as it is now is published to `im.badges` and confirmed; read again, and published again if it changed.
6. It is taken off those asked about.

Killed at any step, it is taken again a minute later: before 4 it is asked about again; after 4 it is not stale any more
and only published. An account that the platform does not know is asked about once an hour, one that fails otherwise
after 1, 2, 4, … s, five minutes at most. Calls that fail in a row, or one that shows that the signature is refused,
stop all calls of that app for a while, five minutes at most.

Without CONSUMERS_IM_APPS it does nothing, says so, and stays up and ready.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from typing import NoReturn

import aiohttp
import redis.exceptions
from aiokafka.errors import KafkaError

from common.admin import Readiness
from common.kafka.topics import TopicsMissingError, ensure_topics
from common.retry import backoff
from consumers.badges.publishing import publish_latest
from consumers.badges.store import BadgeStore, Owner
from consumers.errors import RetryLater, describe
from consumers.metrics import Metrics
from consumers.reconcile.rest import CallError, ErrorClass, RestApi
from consumers.reconcile.stale import StaleBadges
from consumers.runtime.process import run_process
from consumers.runtime.producer import Producer
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings
from consumers.worker import Context

log = logging.getLogger(__name__)

NAME = "reconcile"

_AT_A_TIME = 50
_IDLE_S = 0.25
_BUSY_S = 0.05
_COUNTED_EVERY_S = 5.0
_FAILURES_IN_A_ROW = 5


class Reconciler:
    """The process."""

    def __init__(self, settings: ConsumersSettings) -> None:
        self._settings = settings
        self._client = settings.kafka_client()
        self._metrics = Metrics(NAME)
        self._waiting = WaitStatus(self._metrics.waiting.set)
        self._producer = Producer(settings.kafka_client)
        self._store = BadgeStore(settings)
        self._context = Context(settings, self._producer, self._metrics, alone=False)
        self._started = False

    async def run(self) -> None:
        """Work until a signal asks to stop.

        Raises:
            WorkerRefusedError: Redis is a cluster.
            OSError: the admin port is taken.
        """
        await run_process(
            self._settings,
            self._work() if self._settings.im_apps else self._idle(),
            readiness=self._readiness,
            registry=self._metrics.registry,
            stops=(self._store.close, self._producer.stop),
        )

    def _readiness(self) -> Readiness:
        if not self._settings.im_apps:
            return Readiness(True, {"reconcile": "off: CONSUMERS_IM_APPS is not set"})
        detail = {"reconcile": "on" if self._started else "starting"}
        if self._waiting.reason is not None:
            detail["waiting"] = self._waiting.reason
        return Readiness(self._started, detail)

    async def _idle(self) -> NoReturn:
        log.warning(
            "off: CONSUMERS_IM_APPS is not set, so the platform cannot be asked. A badge that is stale stays so until "
            "an event has a newer count. See `consumers settings`"
        )
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def _work(self) -> NoReturn:
        await self._start()
        timeout_s = self._settings.reconcile_timeout_s
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            apps = [
                _App(
                    app_id,
                    RestApi(session, app_id, app, timeout_s=timeout_s),
                    self._store,
                    self._context,
                    self._waiting,
                )
                for app_id, app in self._settings.im_apps.items()
            ]
            await asyncio.gather(*(app.run() for app in apps))
        raise AssertionError("an app is worked on for ever")

    async def _start(self) -> None:
        for delay in backoff():
            try:
                await self._store.check()
                async with asyncio.timeout(20):
                    await ensure_topics(self._client, [self._settings.badges])
            except (RetryLater, TopicsMissingError) as error:
                self._waiting.begin(NAME, str(error))
            except (KafkaError, OSError, TimeoutError) as error:
                self._waiting.begin(NAME, f"Kafka at {self._settings.kafka_bootstrap_servers}: {describe(error)}")
            else:
                self._waiting.end(NAME)
                self._started = True
                log.info("asking the platform for stale badges of %s", ", ".join(self._settings.im_apps))
                return
            await asyncio.sleep(delay)


class _App:
    """The work for one app."""

    def __init__(self, app_id: str, api: RestApi, store: BadgeStore, context: Context, waiting: WaitStatus) -> None:
        self._app_id = app_id
        self._api = api
        self._store = store
        self._context = context
        self._waiting = waiting
        self._stale = StaleBadges(store)
        self._pause = Pause()
        self._asking: set[asyncio.Task[None]] = set()
        metrics = context.metrics
        self._calls = metrics.counter("reconcile_calls", "Calls of the platform's REST API.", "app", "outcome")
        self._ends = metrics.counter(
            "reconciled_badges",
            "Stale badges that were looked at: settled by a call, overtaken by an event, or fresh already.",
            "app",
            "outcome",
        )
        self._count = metrics.gauge("stale_badges", "Badges of the app that are stale.", "app")
        paused = metrics.gauge("reconcile_breaker_open", "1 while calls of the app are stopped, else 0.", "app")
        paused.labels(metrics.worker, app_id).set_function(lambda: float(self._pause.is_open))

    async def run(self) -> NoReturn:
        """Work for ever."""
        delays = backoff()
        counted = 0.0
        try:
            while True:
                try:
                    wait_s = await self._round()
                    if time.monotonic() - counted > _COUNTED_EVERY_S:
                        counted = time.monotonic()
                        count = await self._stale.count(self._app_id)
                        self._count.labels(self._context.metrics.worker, self._app_id).set(count)
                except RetryLater as error:
                    self._waiting.begin(self._app_id, str(error))
                    self._context.metrics.set_connected("redis", False)
                    wait_s = next(delays)
                else:
                    self._waiting.end(self._app_id)
                    self._context.metrics.set_connected("redis", True)
                    delays = backoff()
                await asyncio.sleep(wait_s)
        finally:
            asking = list(self._asking)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _round(self) -> float:
        """Take what may be asked about now. Seconds until there may be more."""
        free = self._pause.admits(_AT_A_TIME, len(self._asking))
        if free <= 0:
            return _BUSY_S
        settings = self._context.settings
        taken = await self._stale.take(
            self._app_id,
            free,
            calls_per_s=settings.reconcile_calls_per_s,
            delay_s=settings.reconcile_delay_s,
            lease_s=settings.reconcile_lease_s,
        )
        for account in taken:
            task = asyncio.create_task(self._ask(Owner(self._app_id, account)))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return _BUSY_S if taken else _IDLE_S

    async def _ask(self, owner: Owner) -> None:
        try:
            await self._settle(owner)
            await self._publish(owner)
            await self._stale.done(owner)
        except CallError as error:
            await self._failed(owner, error)
        except RetryLater as error:
            # Nothing is to be done for it now: it comes again when its minute is over.
            log.debug("%s waits: %s", owner.key, error)
            self._pause.rest(1.0)
        except Exception as error:
            log.exception("the badge of %s cannot be settled", owner.key)
            if isinstance(error, redis.exceptions.ResponseError):
                await self._put_back(owner, long=True)

    async def _publish(self, owner: Owner) -> None:
        found = await self._store.update({owner: []})
        key = self._app_id, "publish"
        try:
            await publish_latest(self._context, self._store, found)
        except RetryLater as error:
            self._waiting.begin(key, str(error))
            raise
        self._waiting.end(key)

    async def _settle(self, owner: Owner) -> None:
        seen = await self._stale.see(owner)
        if not seen.is_stale:
            self._ended("fresh")
            return
        unread = await self._api.unread(owner.account)
        self._called("ok")
        if self._pause.succeeded():
            log.info("the platform answers again for app %s", self._app_id)
        self._ended("settled" if await self._stale.settle(owner, seen, unread) else "overtaken")

    async def _failed(self, owner: Owner, error: CallError) -> None:
        self._called(error.error_class)
        await self._put_back(owner, long=error.error_class == "account")
        if error.error_class == "account":
            log.warning("the platform does not tell the count of %s, asked again in an hour: %s", owner.key, error)
        elif self._pause.failed(error.error_class):
            log.error(
                "calls for app %s are stopped for %.0f s, nothing is lost: %s%s",
                self._app_id,
                self._pause.remaining_s,
                error,
                ". See CONSUMERS_IM_APPS" if error.error_class == "refused" else "",
            )

    async def _put_back(self, owner: Owner, *, long: bool) -> None:
        try:
            await self._stale.put_back(owner, jitter=random.uniform(0.5, 1.0), long=long)  # noqa: S311 - no secret
        except RetryLater as error:
            log.debug("%s waits: %s", owner.key, error)

    def _called(self, outcome: str) -> None:
        self._calls.labels(self._context.metrics.worker, self._app_id, outcome).inc()

    def _ended(self, outcome: str) -> None:
        self._ends.labels(self._context.metrics.worker, self._app_id, outcome).inc()


class Pause:
    """The circuit breaker of an app's calls: after failures none is made for a while, then one, then all again."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._until = 0.0
        self._waits = _waits()
        self.is_open = False

    @property
    def remaining_s(self) -> float:
        """Seconds until the next call."""
        return max(0.0, self._until - time.monotonic())

    def admits(self, most: int, running: int) -> int:
        """How many calls more may begin now, of `most` at a time."""
        if self.remaining_s > 0:
            return 0
        return (1 if self.is_open else most) - running

    def rest(self, seconds: float) -> None:
        """Make no call for so long."""
        self._until = max(self._until, time.monotonic() + seconds)

    def failed(self, error_class: ErrorClass) -> bool:
        """A call has failed. Whether that stops the calls."""
        if error_class == "busy":
            self.rest(random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            return False
        self._in_a_row += 1
        if self.remaining_s > 0 or not (
            self.is_open or error_class == "refused" or self._in_a_row >= _FAILURES_IN_A_ROW
        ):
            return False
        self.is_open = True
        self.rest(next(self._waits))
        return True

    def succeeded(self) -> bool:
        """A call has succeeded. Whether that ends a stop."""
        ended, self.is_open = self.is_open, False
        self._in_a_row = 0
        self._waits = _waits()
        return ended


def _waits() -> Iterator[float]:
    return backoff(first=2.0, most=300.0)
