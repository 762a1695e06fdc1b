"""Asks the platform for the counts that no event told, and so makes stale badges fresh: `consumers run reconcile`.

This is the process; app_reconciler.py has the work for one app, stale.py the sets in Redis, rest.py the call.

The work lies in Redis, in those sets, and not in a topic: the step that makes a badge stale puts it there, so none is
forgotten; each is retried by itself, for as long as it is stale, and none waits behind another. (From `im.badges` a
partition would have to wait for the one account that the platform does not know.) For each account:

1. It is leased for a minute: moved from the stale ones to those asked about. Any number of processes may run; the rate
   of calls is kept for all of them together.
2. A snapshot of its badge is made: its time and id, and those of the event that made it stale.
3. The platform is asked.
4. Its number is written, in one step with the check that the badge still is as in the snapshot. If a newer event came
   meanwhile that decides: its count stands, or the badge is stale anew and comes again.
5. The badge as it is now is published to `im.badges` and confirmed; read again, and published again if it changed.
6. Its lease is released: it is taken off those asked about.

Killed at any step, it is leased again a minute later: before 4 it is asked about again; after 4 it is not stale any
more and only published. An account that the platform does not know is asked about once an hour, one that fails
otherwise after 1, 2, 4, … s, five minutes at most. Calls that fail in a row, or one that shows that the signature is
refused, stop all calls of that app for a while, five minutes at most.

Without CONSUMERS_IM_APPS it does nothing, says so, and stays up and ready.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import NoReturn

import aiohttp
from aiokafka.errors import KafkaError

from common.admin import Readiness
from common.kafka.topics import TopicsMissingError, ensure_topics
from common.logs import fields
from common.program import command_line
from common.rest.api import RestApi, rest_session
from common.rest.app import ImApp
from common.retry import retry
from consumers.badges.store import BadgeStore
from consumers.errors import RetryLater, describe
from consumers.metrics import Metrics
from consumers.reconcile.app_reconciler import AppReconciler
from consumers.runtime.process import run_process
from consumers.runtime.producer import Producer
from consumers.runtime.status import WaitStatus
from consumers.settings import ConsumersSettings
from consumers.worker import Context

log = logging.getLogger(__name__)

NAME = "reconcile"

_TOPICS_TIMEOUT_S = 20.0
_LOOK_FOR_APPS_S = 2.0


class Reconciler:
    """The process `consumers run reconcile`, until SIGTERM or SIGINT."""

    def __init__(self, settings: ConsumersSettings) -> None:
        self._settings = settings
        settings.kafka_client()  # Made anew for each client; here to fail at once where it cannot be.
        self._metrics = Metrics(NAME)
        self._metrics.ready.set_function(lambda: float(self._readiness().ready))
        self._waiting = WaitStatus(self._metrics.waiting.set)
        self._producer = Producer(settings.kafka_client)
        self._store = BadgeStore(settings)
        self._context = Context(settings, self._producer, self._metrics, alone=False)
        self._started = False
        self._apps = settings.im_apps

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
            metrics=self._metrics,
            stops=(self._store.close, self._producer.stop),
        )

    def _readiness(self) -> Readiness:
        if not self._settings.im_apps:
            return Readiness(True, {"reconcile": "off: CONSUMERS_IM_APPS is not set"})
        detail = {"reconcile": "on" if self._started else "starting"}
        if self._waiting.reason is not None:
            detail["waiting"] = self._waiting.reason
        return Readiness(self._started and self._waiting.reason is None, detail)

    async def _idle(self) -> NoReturn:
        log.warning(
            "off: CONSUMERS_IM_APPS is not set, so the platform cannot be asked. A badge that is stale stays so until "
            "an event has a newer count. See `%s settings`",
            command_line("consumers"),
            extra=fields("setting_missing", setting="CONSUMERS_IM_APPS"),
        )
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def _work(self) -> NoReturn:
        await self._start()
        async with rest_session() as session:
            running: dict[str, asyncio.Task[NoReturn]] = {}
            try:
                while True:
                    self._follow_apps(session, running)
                    await asyncio.wait(running.values(), timeout=_LOOK_FOR_APPS_S, return_when=asyncio.FIRST_COMPLETED)
                    for task in running.values():
                        if task.done():
                            task.result()
            finally:
                for task in running.values():
                    task.cancel()
                await asyncio.gather(*running.values(), return_exceptions=True)

    def _follow_apps(self, session: aiohttp.ClientSession, running: dict[str, asyncio.Task[NoReturn]]) -> None:
        """Work on the apps that CONSUMERS_IM_APPS_FILE names now, and on no other. It may be replaced meanwhile."""
        latest = self._settings.latest()
        named = latest.im_apps or self._apps  # never on none: that would be a mistake
        for app_id in [one for one in running if named.get(one) != self._apps.get(one)]:
            # With other credentials it begins anew, and asks at once: it may have been stopped for the former.
            running.pop(app_id).cancel()
            log.info("app %s has other credentials now" if app_id in named else "app %s is named no more", app_id)
        self._apps = named
        for app_id in named.keys() - running.keys():
            api = RestApi(session, app_id, partial(self._app, app_id), timeout_s=latest.reconcile_timeout_s)
            app = AppReconciler(app_id, api, self._store, self._context, self._waiting)
            running[app_id] = asyncio.create_task(app.run())
            log.info("asking the platform for stale badges of app %s", app_id)

    def _app(self, app_id: str) -> ImApp:
        """The credentials of an app as they are now; the last ones if it is just not named any more."""
        return self._settings.latest().im_apps.get(app_id) or self._apps[app_id]

    async def _start(self) -> None:
        async def connect() -> None:
            await self._store.check()
            async with asyncio.timeout(_TOPICS_TIMEOUT_S):
                await ensure_topics(self._settings.kafka_client(), [self._settings.badges])

        def wait_for(error: Exception) -> None:
            is_ours = isinstance(error, RetryLater | TopicsMissingError)
            at = f"Kafka at {self._settings.kafka_bootstrap_servers}"
            self._waiting.begin(NAME, str(error) if is_ours else f"{at}: {describe(error)}")

        passing = (RetryLater, TopicsMissingError, KafkaError, OSError, TimeoutError)
        await retry(connect, on=passing, report=wait_for)
        self._waiting.end(NAME)
        self._started = True
