"""A process of the ingress as its parent sees it: watched, asked about itself, ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import msgspec
import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector
from prometheus_client.parser import text_string_to_metric_families

from bridge.normalize.differences import DRIFT_PATH, DriftReport
from bridge.process import heartbeat
from bridge.process.child import CANNOT_SERVE, REPLACED, last_metrics
from bridge.process.handover import HandedChild
from bridge.process.heartbeat import HeartbeatMonitor, ask_to_stop
from bridge.process.running_time import RunningTime
from bridge.process.status import STATUS_PATH, StatusReport
from bridge.process.totals import ProcessPage
from bridge.settings import BridgeSettings
from common.admin import Readiness
from common.logs import fields

log = logging.getLogger(__name__)

T = TypeVar("T")

ADMIN_TIMEOUT_S = 1.0
CHECK_INTERVAL_S = heartbeat.INTERVAL_S / 2
KILL_MARGIN_S = 0.5
"""Beyond the time that a graceful shutdown takes at most."""


class ChildProcess:
    """One process of the ingress, from its start to its end. Made on the event loop.

    The fields are many because what it is to others (number, pages) and what is watched of it belong to the same
    life.

    Args:
        handed: what is known of it.
        settings: how long its event loop may stand still before it is killed, and how long its end may take.
        start_timeout_s: the same for its start.
    """

    def __init__(self, handed: HandedChild, settings: BridgeSettings, start_timeout_s: float) -> None:
        self.number = handed.number
        """Its name in logs and metrics."""
        self.pid = handed.pid
        self.readiness = Readiness(False, {"state": "starting"})
        self.metrics = ""
        """Its page of metrics, as it was at the last `refresh`, or at its end."""
        self.started_at = time.monotonic()
        self.was_too_slow = False
        """Whether it was killed before it accepted anything."""
        self.cannot_serve = False
        """Whether it has ended since it could not begin."""
        self.accepting = asyncio.Event()
        """It has said that it accepts callbacks."""
        self.is_leaving = handed.is_leaving
        self._admin_socket = Path(handed.admin_socket)
        self._settings = settings
        self._start_timeout_s = start_timeout_s
        self._kill_at = float("inf")
        self._heartbeats = socket.socket(fileno=handed.heartbeats)
        running_time = RunningTime(self.pid, longest_s=2 * CHECK_INTERVAL_S)
        self._monitor = HeartbeatMonitor(self._heartbeats, running_time.passed_s, is_accepting=handed.is_accepting)
        if handed.is_accepting:
            self.accepting.set()
        self._looked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._heartbeats, self._hear)
        if handed.is_leaving:
            self._has_to_end_within(settings.drain_s)
        self.ended = asyncio.ensure_future(self._watch())
        """What became of it, for people."""

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self.ended.done()

    def hand_over(self) -> HandedChild:
        """What a successor of this parent has to know of it."""
        return HandedChild(
            number=self.number,
            pid=self.pid,
            heartbeats=self._heartbeats.fileno(),
            admin_socket=str(self._admin_socket),
            is_accepting=self.accepting.is_set(),
            is_leaving=self.is_leaving,
        )

    def page(self) -> ProcessPage:
        """What it told last."""
        families = text_string_to_metric_families(self.metrics)
        return ProcessPage(str(self.number), self.pid, families, has_begun=self.accepting.is_set())

    def look(self) -> None:
        """Look at once whether it has ended."""
        self._looked.set()

    def terminate(self) -> None:
        """Ask it to stop, and kill it if that takes too long. Only once our port is closed."""
        if self.is_alive:
            ask_to_stop(self._heartbeats)
        self._ask(signal.SIGTERM, self._settings.stop_linger_s)

    def replace(self) -> None:
        """Ask it to stop once its clients have gone, since a successor accepts; kill it if that takes too long."""
        self._ask(REPLACED, self._settings.drain_s)

    def kill(self) -> None:
        """End it at once. Only while it is alive."""
        os.kill(self.pid, signal.SIGKILL)

    async def begins(self) -> bool:
        """Wait until it accepts callbacks: True, or has ended before it did."""
        accepts = asyncio.ensure_future(self.accepting.wait())
        await asyncio.wait({accepts, self.ended}, return_when=asyncio.FIRST_COMPLETED)
        accepts.cancel()
        return self.accepting.is_set() and self.is_alive

    async def refresh(self) -> None:
        """Fetch its readiness and its metrics."""
        try:
            async with self._session() as session:
                async with session.get("http://child/readyz") as reply:
                    self.readiness = Readiness(reply.status == HTTPStatus.OK, orjson.loads(await reply.read()))
                async with session.get("http://child/metrics") as reply:
                    self.metrics = await reply.text()
        except (ClientError, OSError, TimeoutError, orjson.JSONDecodeError):
            state = "does not answer" if self.accepting.is_set() else "starting"
            self.readiness = Readiness(False, {"state": state})

    async def drift(self) -> DriftReport | None:
        """What differed in the callbacks that it had; None if it does not answer."""
        return await self._told(DRIFT_PATH, DriftReport)

    async def status(self) -> StatusReport | None:
        """How it is; None if it does not answer."""
        return await self._told(STATUS_PATH, StatusReport)

    async def _told(self, path: str, kind: type[T]) -> T | None:
        try:
            async with self._session() as session, session.get(f"http://child{path}") as reply:
                return msgspec.json.decode(await reply.read(), type=kind)
        except (ClientError, OSError, TimeoutError, msgspec.DecodeError):
            return None

    def _session(self) -> ClientSession:
        """For questions to its admin pages."""
        connector = UnixConnector(str(self._admin_socket))
        return ClientSession(connector=connector, timeout=ClientTimeout(total=ADMIN_TIMEOUT_S))

    def _ask(self, number: signal.Signals, further_s: float) -> None:
        if self.is_alive:
            self.is_leaving = True
            self._has_to_end_within(further_s)
            os.kill(self.pid, number)

    def _has_to_end_within(self, further_s: float) -> None:
        self._kill_at = self._loop.time() + further_s + self._settings.stop_timeout_s + KILL_MARGIN_S

    def _hear(self) -> None:
        if not self._monitor.listen():
            self._loop.remove_reader(self._heartbeats)
        if self._monitor.is_accepting:
            self.accepting.set()

    async def _watch(self) -> str:
        """Wait for its end, which is ours to bring about when it hangs, or does not stop in time."""
        is_killed = False
        try:
            while (outcome := self._outcome()) is None:
                self._looked.clear()
                if not is_killed and (self._is_hung() or self._loop.time() > self._kill_at):
                    is_killed = True
                    self.kill()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._looked.wait(), CHECK_INTERVAL_S)
            return outcome
        finally:
            self._loop.remove_reader(self._heartbeats)
            self._heartbeats.close()
            self._admin_socket.unlink(missing_ok=True)
            self._take_last_metrics()
            self.readiness = Readiness(False, {"state": "ended"})

    def _take_last_metrics(self) -> None:
        left = last_metrics(self._admin_socket)
        with contextlib.suppress(OSError):  # None are there of a process that was killed.
            self.metrics = left.read_text()
            left.unlink()

    def _outcome(self) -> str | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return "ended"  # Somebody else has waited for it.
        if pid == 0:
            return None
        code = os.waitstatus_to_exitcode(status)
        self.cannot_serve = code == CANNOT_SERVE
        return f"ended with signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def _is_hung(self) -> bool:
        """Whether its event loop has stood still for too long, which is logged."""
        silence_s = self._monitor.silence_s()
        if self.accepting.is_set() and silence_s > self._settings.hung_after_s:
            log.error(
                "process %d is killed: its event loop has not moved for %.0f s (BRIDGE_HUNG_AFTER_S)",
                self.number,
                silence_s,
                extra=fields("process_killed", process=str(self.number), silent_s=round(silence_s, 1)),
            )
            return True
        if not self.accepting.is_set() and silence_s > self._start_timeout_s:
            self.was_too_slow = True
            log.error(
                "process %d is killed: it has begun, and was not heard of for %.0f s (BRIDGE_START_TIMEOUT_S);"
                " the next one has longer",
                self.number,
                silence_s,
                extra=fields("process_killed", process=str(self.number), silent_s=round(silence_s, 1)),
            )
            return True
        return False
