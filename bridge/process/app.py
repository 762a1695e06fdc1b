"""One ingress process: wires the steps together, listens, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial

import msgspec

from bridge import metrics
from bridge.audit.stating import Stating
from bridge.http.acceptor import Acceptor
from bridge.http.server import HttpServer, listen_on
from bridge.ingress.allow_list import AllowList
from bridge.ingress.ingress import Ingress
from bridge.ingress.traces import CallbackTraces
from bridge.journal.journal import Journal
from bridge.normalize.differences import DRIFT_PATH
from bridge.normalize.drift import Drift
from bridge.process import gauges
from bridge.process.descriptors import most_connections
from bridge.process.freed_memory import FreedMemory, give_back
from bridge.process.status import STATUS_PATH, ProcessStatus, StatusReport
from bridge.process.status_socket import StatusSocket
from bridge.process.status_watch import StatusWatch
from bridge.process.token_warnings import warn_of_tokens
from bridge.publish.publish_spans import PublishSpans
from bridge.publish.publisher import Publisher
from bridge.publish.quarantine import refused_in
from bridge.settings import BridgeSettings
from common import logs
from common.admin import AdminServer, Readiness
from common.gc_tuning import tune_garbage_collector
from common.metrics.loop_lag import watch_loop_lag
from common.networks import NetworkSet
from common.tracing.start import start_tracer

log = logging.getLogger(__name__)

KAFKA_S = 0.5
"""At a start, how long Kafka may take to be connected to, or the first callback would wait for the disk. Where it is
away, nobody is to be turned away for longer."""
CONNECTIONS_S = 1.0
"""At a stop, how long connections may take to bring the request that is under way."""
REPLIES_S = 2.5
"""At a stop, how long requests may take to be answered, counted from when connections had their time."""
PUBLISH_S = 1.5
"""At a stop, how long Kafka may take to confirm what is left when all requests are answered."""
JOURNAL_S = 1.5
"""At a stop, how long the disk may take to sync what Kafka has not confirmed in its time."""
JOURNAL_SHARE = 4
"""Of a stop that has less time than all of these, the journal has a quarter."""
AUDIT_S = 0.8
"""At a stop, how long disk and Kafka may take to keep what is stated of this process's end."""
AUDIT_SHARE = 10
"""Of a stop that has less time than all of these, it has a tenth."""
TRACES_S = 2.0
"""At a stop, how long the collector of traces may take for the last spans, of the time that is left then."""
LAST_S = 0.25
"""At a stop, how long what comes after the journal may take."""
REFRESH_INTERVAL_S = 0.5
"""Between two looks at the networks that may post, at what is held, and at files of tokens."""


class Bridge:
    """The parts of one process.

    The fields are many because it has so many parts: here they are made, started and stopped in turn.
    """

    def __init__(self, settings: BridgeSettings, *, admin_socket: str | None = None) -> None:
        self._settings = settings
        self._tracer = start_tracer("im-bridge")
        spans = PublishSpans(self._tracer) if self._tracer is not None else None
        self._apps = settings.apps
        """Whose tokens were looked at."""
        self._allowed_networks = settings.allowed_networks
        self._publisher = Publisher(settings, spans)
        self._journal = Journal.from_settings(settings, outlet=self._publisher)
        self._stating = Stating.from_settings(settings, self._journal.folder, partial(refused_in, self._journal.folder))
        self._drift = Drift()
        self._ingress = Ingress(
            settings,
            self._journal,
            self._publisher.record_limit,
            self._drift,
            CallbackTraces(settings.trace_share, self._tracer, lambda: spans is not None and spans.is_confirming),
        )
        self._allow_list = AllowList(settings, self._ingress.allow) if settings.asks_for_networks else None
        self._server = HttpServer.from_settings(
            settings,
            self._ingress,
            self._journal.flush,
            max_connections=most_connections(settings),
            confirms=lambda: self._publisher.confirms,
        )
        self._acceptor: Acceptor | None = None
        self._admin = AdminServer(
            settings.admin_host,
            settings.admin_port,
            readiness=self.readiness,
            registry=metrics.REGISTRY,
            unix_socket=admin_socket,
            refresh=self._measure,
            pages={DRIFT_PATH: self._drift_page, STATUS_PATH: self._status_page},
        )
        self._freed_memory = FreedMemory(lambda: self._journal.free_caches(give_back))
        self._status_watch = StatusWatch(
            self._journal, self._publisher, servers=settings.kafka_bootstrap_servers, process=logs.process_number()
        )
        self._status_socket = StatusSocket(self._journal.folder, self._journal.on_disk, self._status_page)
        self._stopping = False
        self._refreshing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        gauges.show_limits(settings)

    def readiness(self) -> Readiness:
        """Ready = can durably accept: by disk or by Kafka. That Kafka is away is no reason to be unready."""
        disk_ok = self._journal.disk_ok
        is_serving = self._acceptor is not None and not self._stopping
        return Readiness(
            ready=is_serving and (disk_ok or self._publisher.confirms),
            detail={
                "disk": "ok" if disk_ok else "failing",
                **({} if disk_ok else {"disk_problem": self._journal.disk_problem}),
                "kafka": self._publisher.state,
                "quarantine": self._publisher.quarantine.state,
                **self._allow_list_detail(),
                "state": "stopping" if self._stopping else "serving" if is_serving else "starting",
            },
        )

    def status(self) -> ProcessStatus:
        """How this process is now: one snapshot for all who ask."""
        is_serving = self._acceptor is not None
        return self._status_watch.snapshot(
            "stopping" if self._stopping else "serving" if is_serving else "starting",
            ready=self.readiness().ready,
            refusals=self._ingress.refusal_counts,
        )

    async def _status_page(self) -> bytes:
        life = self._stating.life.name if self._stating is not None else ""
        return msgspec.json.encode(StatusReport([msgspec.structs.replace(self.status(), life=life)]))

    async def _measure(self) -> None:
        """Whoever asks is told what is held now, not what was half a second ago: only then does 0 mean that all is in
        Kafka."""
        gauges.show_status(self.status(), self._journal, kafka_ok=self._publisher.confirms)
        gauges.show_traffic(self._ingress, self._server)

    async def _drift_page(self) -> bytes:
        return msgspec.json.encode(self._drift.report())

    def _allow_list_detail(self) -> dict[str, str]:
        if self._allow_list is None:
            return {}
        problem = self._allow_list.problem
        return {"allowed_networks": self._allow_list.described()} | (
            {"allowed_networks_problem": problem} if problem else {}
        )

    async def start(self, *, is_awaited: bool = False) -> None:
        """Take over the backlog, and connect, which the first callback would wait for.

        Args:
            is_awaited: callbacks wait already, and nobody else accepts them: those that the disk can make durable do
                not wait for Kafka, too.

        Raises:
            OSError: the admin port is taken.
        """
        await self._admin.start()
        if self._allow_list is not None:
            await self._allow_list.start()
        if self._stating is not None:
            self._journal.number_by(await self._stating.begin())
        await self._journal.start()
        self._publisher.start(self._journal)
        if self._stating is not None:
            self._stating.start(self._journal)
        self._watching = asyncio.create_task(self._status_watch.run(self._status_socket.ensure))
        is_hurried = is_awaited and self._journal.disk_ok
        await self._publisher.settle(0.0 if is_hurried else KAFKA_S)
        if self._allow_list is not None:
            await self._allow_list.settle(for_newer=not is_hurried)

    def accept(self, listener: socket.socket) -> None:
        """Accept callbacks from now on."""
        self._acceptor = Acceptor(listener, self._server)
        self._acceptor.start()
        self._refreshing = asyncio.create_task(self._refresh_for_ever())
        self._measuring = asyncio.create_task(watch_loop_lag(metrics.LOOP_LAG_SECONDS.observe))

    def leave(self) -> None:
        """Be unready from now on, and accept callbacks all the same."""
        self._stopping = True

    async def drain(self, within_s: float) -> None:
        """Accept no more connections, and let clients bring their next request, whose reply asks them to go.

        Who closes an idle connection may cross a callback that is on its way.

        Args:
            within_s: what the clients have.
        """
        self._accept_no_more()
        await _until(lambda: not len(self._server.table), within_s)

    async def stop(self, within_s: float) -> None:
        """Answer what was sent to us, make it durable, and end; each step has its time limit.

        The journal's is kept for it, whatever the steps before it take: what it does not sync, the machine may lose.

        Args:
            within_s: for all of it.
        """
        until = asyncio.get_running_loop().time() + within_s
        journal_s = min(JOURNAL_S, within_s / JOURNAL_SHARE)
        audit_s = min(AUDIT_S, within_s / AUDIT_SHARE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s - journal_s - audit_s - LAST_S):
                await self._finish()
        if self._watching is not None:
            self._watching.cancel()
        await self._status_socket.stop()
        await self._journal.stop(journal_s)
        self._status_watch.tell_what_stays()
        if self._stating is not None:
            await self._stating.stop(audit_s)
        for task in filter(None, (self._refreshing, self._measuring)):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                if self._allow_list is not None:
                    await self._allow_list.stop()
                await self._admin.stop()
        if self._tracer is not None:
            left_s = until - asyncio.get_running_loop().time()
            await self._tracer.stop(min(max(left_s, LAST_S), TRACES_S))

    async def _finish(self) -> None:
        """Accept no more, give all replies, and let Kafka confirm what it still does."""
        self._accept_no_more()
        # Connections that are about to send a request, or are in the middle of one, get their answer.
        await _until(lambda: not len(self._server.table), CONNECTIONS_S)
        await asyncio.gather(self._server.drain(REPLIES_S), self._ingress.finish(REPLIES_S))
        if self._publisher.confirms:
            await _until(lambda: self._journal.is_drained, PUBLISH_S)
        await self._ingress.close()
        await self._publisher.stop()

    def _accept_no_more(self) -> None:
        self._stopping = True
        self._server.ask_to_close()
        if self._acceptor is not None:
            self._acceptor.stop()

    async def _refresh_for_ever(self) -> None:
        while True:
            try:
                self._show_networks()
                self._note_memory()
                self._take_new_settings()
            except Exception:  # Else both would stand still from now on, and nobody would know.
                log.exception("networks or settings could not be refreshed; it is tried again")
            await asyncio.sleep(REFRESH_INTERVAL_S)

    def _note_memory(self) -> None:
        state = self._journal.state
        self._freed_memory.note(state.stored_bytes + state.memory_bytes + self._server.body_bytes)

    def _take_new_settings(self) -> None:
        """Tokens and the allow-list, from files that have changed."""
        self._ingress.take_new_tokens()
        latest = self._settings.latest()
        if latest.apps is not self._apps:
            self._apps = latest.apps
            warn_of_tokens(latest)
        if latest.allowed_networks is not self._allowed_networks:
            self._allowed_networks = latest.allowed_networks
            if latest.asks_for_networks != (self._allow_list is not None):
                log.error(
                    "BRIDGE_ALLOWED_NETWORKS has changed to or from `auto`, which takes a reload or a restart",
                    extra=logs.fields("setting_needs_reload", setting="BRIDGE_ALLOWED_NETWORKS"),
                )
            elif self._allow_list is None:
                self._ingress.allow(NetworkSet(latest.static_networks), "")
        metrics.SETTINGS_REFUSED.set(bool(self._settings.refused) or not self._server.renew_certificates())

    def _show_networks(self) -> None:
        if self._allow_list is not None:
            self._allow_list.refresh()
        else:
            metrics.ALLOWED_NETWORKS.set(len(self._settings.latest().static_networks))


@dataclass(frozen=True)
class Leaving:
    """What a process is told about its end."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """It is to end."""
    replaced: asyncio.Event = field(default_factory=asyncio.Event)
    """A successor accepts in its place: it is to end once its clients have gone."""
    alone: asyncio.Event = field(default_factory=asyncio.Event)
    """Its parent is gone: it is to give the port free at once."""


async def serve(
    settings: BridgeSettings,
    listener: socket.socket,
    *,
    admin_socket: str,
    leaving: Leaving,
    accepting: Callable[[], object] = lambda: None,
    is_awaited: bool = False,
) -> None:
    """Run one process until it is to leave.

    Args:
        listener: a bound socket that others share, and may listen on.
        admin_socket: path for the admin pages.
        leaving: when and how it ends.
        accepting: called once callbacks are accepted.
        is_awaited: see `Bridge.start`.

    Raises:
        OSError: it cannot begin, and why.
    """
    warn_of_tokens(settings)
    bridge = Bridge(settings, admin_socket=admin_socket)
    tune_garbage_collector()
    await bridge.start(is_awaited=is_awaited)
    # Not before: who connects is to be answered within the deadline, not when we are ready.
    try:
        listen_on(listener)
    except OSError:
        await bridge.stop(settings.stop_timeout_s)  # Else whoever comes next takes this life for one that was killed.
        raise
    bridge.accept(listener)
    accepting()
    await _first_of(leaving.stop, leaving.replaced, leaving.alone)
    bridge.leave()
    if leaving.replaced.is_set():
        log.info(
            "another process accepts in place of this one, which stops when its connections are gone",
            extra=logs.fields("replaced"),
        )
        await _first_of(leaving.stop, leaving.alone, work=bridge.drain(settings.drain_s))
    elif settings.stop_linger_s and not leaving.alone.is_set():
        log.info(
            "stopping in %g s: not ready, and accepting until then (BRIDGE_STOP_LINGER_S)",
            settings.stop_linger_s,
            extra=logs.fields("lingering"),
        )
        await _first_of(leaving.alone, work=asyncio.sleep(settings.stop_linger_s))
    log.info("stopping", extra=logs.fields("stopping"))
    await bridge.stop(settings.stop_timeout_s)
    log.info("stopped", extra=logs.fields("stopped"))


async def _first_of(*events: asyncio.Event, work: Coroutine[object, object, None] | None = None) -> None:
    """Wait until one of the events is set, or the work is done; what is not done then is given up."""
    waits: set[asyncio.Future[object]] = {asyncio.ensure_future(event.wait()) for event in events}
    if work is not None:
        waits.add(asyncio.ensure_future(work))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _until(condition: Callable[[], bool], within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.02)
