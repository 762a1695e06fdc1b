"""A process of the ingress as its supervisor sees it: started, watched, asked about itself, ended."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import msgspec
import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

from bridge.normalize.differences import DRIFT_PATH, DriftReport
from bridge.process import heartbeat
from bridge.process.heartbeat import HeartbeatMonitor
from bridge.process.running_time import RunningTime
from bridge.settings import BridgeSettings
from common.admin import Readiness

log = logging.getLogger(__name__)

ADMIN_TIMEOUT_S = 1.0
CHECK_INTERVAL_S = heartbeat.INTERVAL_S / 2
START_TIMEOUT_MAX_S = 3600.0
KILL_MARGIN_S = 0.5
"""Beyond the time that a graceful shutdown takes at most."""


def admin_socket(folder: Path, number: int) -> Path:
    """Where a child serves its admin pages to its parent."""
    return folder / f"{number}.sock"


class ChildProcess:
    """One process of the ingress, which may be started again and again; at most one is alive at a time.

    Args:
        number: its name in logs and metrics.
        folder: for the socket of its admin pages.
        settings: how long its event loop may stand still before it is killed, at its start and later, and how long
            its graceful shutdown takes at most.
        accepting: called each time that it begins to accept callbacks.
    """

    def __init__(
        self, number: int, folder: Path, settings: BridgeSettings, *, accepting: Callable[[], object] = lambda: None
    ) -> None:
        self.number = number
        self.readiness = Readiness(False, {"state": "starting"})
        self.metrics = ""
        """Its page of metrics, as it was at the last `refresh`."""
        self.started_at = 0.0
        """Of the monotonic clock."""
        self._admin_socket = admin_socket(folder, number)
        self._settings = settings
        self._accepting = accepting
        self._start_timeout_s = settings.start_timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self._monitor: HeartbeatMonitor | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None

    @property
    def is_accepting(self) -> bool:
        """Whether it has said that it accepts callbacks."""
        return self._monitor is not None and self._monitor.is_accepting

    async def run(self, listener: socket.socket, stopping: asyncio.Event) -> str:
        """Start it on a bound socket, and wait for its end, which comes by itself, by hanging, or when we are stopping.

        Returns:
            what became of it, for people.
        """
        try:
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    process = await self._start(listener, theirs)
                running_time = RunningTime(process.pid, longest_s=2 * CHECK_INTERVAL_S)
                self._monitor = HeartbeatMonitor(ours, running_time.passed_s)
                code = await self._watch(process, self._monitor, stopping)
        except OSError as error:
            return f"could not be started: {error}"
        finally:
            self._process = self._monitor = None
            self.readiness = Readiness(False, {"state": "ended"})
        return f"ended with signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    async def refresh(self) -> None:
        """Fetch its readiness and its metrics."""
        try:
            async with self._session() as session:
                async with session.get("http://child/readyz") as reply:
                    self.readiness = Readiness(reply.status == HTTPStatus.OK, orjson.loads(await reply.read()))
                async with session.get("http://child/metrics") as reply:
                    self.metrics = await reply.text()
        except (ClientError, OSError, TimeoutError, orjson.JSONDecodeError):
            self.readiness = Readiness(False, {"state": "does not answer" if self.is_accepting else "starting"})

    async def drift(self) -> DriftReport | None:
        """What differed in the callbacks that it had; None if it does not answer."""
        try:
            async with self._session() as session, session.get(f"http://child{DRIFT_PATH}") as reply:
                return msgspec.json.decode(await reply.read(), type=DriftReport)
        except (ClientError, OSError, TimeoutError, msgspec.DecodeError):
            return None

    def _session(self) -> ClientSession:
        """For questions to its admin pages."""
        connector = UnixConnector(str(self._admin_socket))
        return ClientSession(connector=connector, timeout=ClientTimeout(total=ADMIN_TIMEOUT_S))

    async def _start(self, listener: socket.socket, theirs: socket.socket) -> asyncio.subprocess.Process:
        self.started_at = time.monotonic()
        self._admin_socket.parent.mkdir(mode=0o700, exist_ok=True)  # Whoever tidies up TMPDIR may have removed it.
        descriptors = (listener.fileno(), theirs.fileno())
        arguments = (*map(str, descriptors), str(self._admin_socket), str(self.number))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.process.child_main", *arguments, pass_fds=descriptors
        )
        return self._process

    def _is_hung(self, monitor: HeartbeatMonitor) -> bool:
        """Whether its event loop has stood still for too long, which is logged."""
        was_accepting = monitor.is_accepting
        silence_s = monitor.silence_s()
        if monitor.is_accepting and not was_accepting:
            self._start_timeout_s = self._settings.start_timeout_s
            self._accepting()
        if monitor.is_accepting and silence_s > self._settings.hung_after_s:
            log.error(
                "process %d is killed: its event loop has not moved for %.0f s (BRIDGE_HUNG_AFTER_S)",
                self.number,
                silence_s,
            )
            return True
        if not monitor.is_accepting and silence_s > self._start_timeout_s:
            self._start_timeout_s = min(2 * self._start_timeout_s, START_TIMEOUT_MAX_S)
            log.error(
                "process %d is killed: it has begun, and was not heard of for %.0f s (BRIDGE_START_TIMEOUT_S);"
                " the next one has %.0f s",
                self.number,
                silence_s,
                self._start_timeout_s,
            )
            return True
        return False

    async def _watch(
        self, process: asyncio.subprocess.Process, monitor: HeartbeatMonitor, stopping: asyncio.Event
    ) -> int:
        """Wait for its end, which is ours to bring about when it hangs or we are stopping. Gives its exit status."""
        ended = asyncio.create_task(process.wait())
        stop = asyncio.create_task(stopping.wait())
        try:
            while not (ended.done() or stop.done()):
                if self._is_hung(monitor):
                    process.kill()
                    break
                await asyncio.wait((ended, stop), timeout=CHECK_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
            if stop.done() and not ended.done():
                process.terminate()
                await asyncio.wait((ended,), timeout=self._settings.stop_timeout_s + KILL_MARGIN_S)
                if not ended.done():
                    process.kill()
            return await ended
        finally:
            stop.cancel()
