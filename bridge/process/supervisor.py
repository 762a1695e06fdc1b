"""Several processes on one port: the parent binds it, children inherit it, dead and hung ones are started again.

The parent keeps the socket open as long as it lives, so connections that reach it while a child dies wait for another
child. Each child has a journal of its own; a child that is started takes over what the dead one left. The parent serves
the admin port for all of them.

Between parent and child there is one socket pair. The child sends a byte a second from its event loop, which tells the
parent that it is not hung; the end of the stream tells the child that the parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bridge.http.server import listen
from bridge.settings import BridgeSettings
from common.admin import AdminServer, Readiness
from common.retry import backoff

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
LOOK_S = 1.0
STABLE_AFTER_S = 10.0
KILL_MARGIN_S = 0.5


class Child:
    """One process of the ingress."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.admin_socket = folder / f"{number}.sock"
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0.0
        self.last_beat = 0.0
        self.readiness = Readiness(False, {"state": "starting"})
        self.metrics = ""


class Supervisor:
    """Keeps `settings.workers` processes running until SIGTERM or SIGINT."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="bridge-")
        self._children = [Child(number, Path(self._folder.name)) for number in range(settings.workers)]
        self._stopping = asyncio.Event()
        registry = CollectorRegistry()
        registry.register(_AllChildren(self._children))
        self._admin = AdminServer(
            settings.admin_host, settings.admin_port, readiness=self.readiness, registry=registry, refresh=self._look
        )

    def readiness(self) -> Readiness:
        """Ready while a process is, and none is unready that could be handed a callback."""
        states = {str(child.number): child.readiness for child in self._children if child.process is not None}
        return Readiness(
            ready=not self._stopping.is_set() and bool(states) and all(state.ready for state in states.values()),
            detail={number: str(state.detail.get("state", "unknown")) for number, state in states.items()},
        )

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            OSError: a port is taken.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with self._folder, listen(self._settings.host, self._settings.port) as listener:
            await self._admin.start()
            log.info("%d processes accept callbacks on %s port %d", len(self._children), *listener.getsockname()[:2])
            keepers = [loop.create_task(self._keep(child, listener)) for child in self._children]
            await self._stopping.wait()
            log.info("stopping %d processes", len(self._children))
            listener.close()
            await asyncio.gather(*keepers)
            await self._admin.stop()

    async def _keep(self, child: Child, listener: socket.socket) -> None:
        """Start a child again whenever it ends."""
        waits = backoff(first=0.1, most=5.0)
        while not self._stopping.is_set():
            try:
                ended = await self._run(child, listener)
            except OSError as error:
                ended = f"could not be started: {error}"
            child.process = None
            child.readiness = Readiness(False, {"state": "ended"})
            if self._stopping.is_set():
                break
            log.error("process %d %s; starting it again", child.number, ended)
            if time.monotonic() - child.started > STABLE_AFTER_S:
                waits = backoff(first=0.1, most=5.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), next(waits))

    async def _run(self, child: Child, listener: socket.socket) -> str:
        """Start a child and wait for its end, and tell it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                await self._start(child, listener, theirs)
            return f"ended with {_ending(await self._watch(child, ours))}"

    async def _start(self, child: Child, listener: socket.socket, theirs: socket.socket) -> None:
        child.started = child.last_beat = time.monotonic()
        descriptors = (listener.fileno(), theirs.fileno())
        arguments = (*map(str, descriptors), str(child.admin_socket), str(child.number))
        child.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.process.child", *arguments, pass_fds=descriptors
        )

    async def _watch(self, child: Child, ours: socket.socket) -> int:
        """Wait for the child's end, which is ours to bring about when it hangs or we stop. Gives its exit status."""
        assert child.process is not None
        ours.setblocking(False)
        ended = asyncio.create_task(child.process.wait())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while not (ended.done() or stop.done()):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    if ours.recv(4096):
                        child.last_beat = time.monotonic()
                silence = time.monotonic() - child.last_beat
                if silence > self._settings.hung_after_s:
                    log.error("process %d has not been heard of for %.0f s and is killed", child.number, silence)
                    child.process.kill()
                    break
                await asyncio.wait((ended, stop), timeout=HEARTBEAT_S / 2, return_when=asyncio.FIRST_COMPLETED)
            if stop.done() and not ended.done():
                child.process.terminate()
                await asyncio.wait((ended,), timeout=self._settings.stop_timeout_s + KILL_MARGIN_S)
                if not ended.done():
                    child.process.kill()
            return await ended
        finally:
            stop.cancel()

    async def _look(self) -> None:
        """Fetch readiness and metrics of all children, for an answer of the admin port."""
        await asyncio.gather(*(_fetch(child) for child in self._children if child.process is not None))


async def _fetch(child: Child) -> None:
    try:
        async with ClientSession(
            connector=UnixConnector(str(child.admin_socket)), timeout=ClientTimeout(total=LOOK_S)
        ) as session:
            async with session.get("http://child/readyz") as reply:
                state = orjson.loads(await reply.read())
                child.readiness = Readiness(reply.status == 200, {"state": str(state)})
            async with session.get("http://child/metrics") as reply:
                child.metrics = await reply.text()
    except (ClientError, OSError, TimeoutError, orjson.JSONDecodeError):
        child.readiness = Readiness(False, {"state": "does not answer"})


class _AllChildren(Collector):
    """The children's metrics, each sample with the label `process`."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for child in self._children:
            for family in text_string_to_metric_families(child.metrics):
                metric = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    metric.add_sample(sample.name, {**sample.labels, "process": str(child.number)}, sample.value)
        return iter(merged.values())


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


__all__ = ["HEARTBEAT_S", "Supervisor"]
