"""Several processes on one port: the parent binds it, children inherit it, dead and hung ones are started again.

The first child that can answer begins to listen. The parent keeps the socket open as long as it lives, so connections
that reach it while a child dies wait for another child. Each child has a journal of its own; a child that is started
takes over what the dead one left. The parent serves the admin port for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bridge.normalize.differences import DRIFT_PATH, merged
from bridge.process.child_process import ChildProcess, admin_socket
from bridge.settings import BridgeSettings
from common.admin import AdminServer, Readiness
from common.asyncio_tools import on_stop_signal
from common.listening import bind
from common.retry import Backoff

log = logging.getLogger(__name__)

RESTART_FIRST_S, RESTART_MAX_S = 0.1, 5.0
STABLE_AFTER_S = 10.0
"""After a child that has lived this long, the waits begin anew."""
SOCKET_PATH_BYTES = 107
"""Longer paths the system takes for no socket."""
SHORT_PLACES = ("/tmp", "/run", "/dev/shm")  # noqa: S108 - a folder of ours alone is made there


class Supervisor:
    """Keeps `settings.workers` processes running until SIGTERM or SIGINT.

    Raises:
        OSError: there is no place for the sockets on which it asks them about themselves.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings
        self._folder = _socket_folder(settings.workers)
        self._children = [
            ChildProcess(number, Path(self._folder.name), settings, accepting=partial(self._say_accepting, number))
            for number in range(settings.workers)
        ]
        self._stopping = asyncio.Event()
        self._address = ("", 0)
        registry = CollectorRegistry()
        registry.register(MergedMetrics(self._children))
        self._admin = AdminServer(
            settings.admin_host,
            settings.admin_port,
            readiness=self.readiness,
            registry=registry,
            refresh=self._refresh,
            pages={DRIFT_PATH: self._drift_page},
        )

    def readiness(self) -> Readiness:
        """Ready while a process is, and none is unready that could be handed a callback."""
        accepting = [child for child in self._children if child.is_accepting]
        states = {str(child.number): child.readiness for child in self._children if child.is_alive}
        return Readiness(
            ready=not self._stopping.is_set() and bool(accepting) and all(child.readiness.ready for child in accepting),
            detail={
                "state": "stopping" if self._stopping.is_set() else "serving" if accepting else "starting",
                "processes": {number: {"ready": state.ready, **state.detail} for number, state in states.items()},
            },
        )

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            OSError: a port is taken.
        """
        with (
            on_stop_signal(self._stopping.set),
            self._folder,
            bind(self._settings.host, self._settings.port) as listener,
        ):
            await self._admin.start()
            self._address = listener.getsockname()[:2]
            log.info("starting %d processes for callbacks on %s port %d", len(self._children), *self._address)
            keepers = [asyncio.create_task(self._keep_running(child, listener)) for child in self._children]
            await self._stopping.wait()
            log.info("stopping %d processes", len(self._children))
            listener.close()
            await asyncio.gather(*keepers)
            await self._admin.stop()

    async def _keep_running(self, child: ChildProcess, listener: socket.socket) -> None:
        """Start a child again whenever it ends, until we are stopping."""
        waits = Backoff(first_s=RESTART_FIRST_S, max_s=RESTART_MAX_S)
        while not self._stopping.is_set():
            outcome = await child.run(listener, self._stopping)
            if self._stopping.is_set():
                break
            log.error("process %d %s; starting it again", child.number, outcome)
            if time.monotonic() - child.started_at > STABLE_AFTER_S:
                waits.reset()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), next(waits))

    def _say_accepting(self, number: int) -> None:
        log.info("process %d is accepting callbacks on %s port %d", number, *self._address)

    async def _refresh(self) -> None:
        """Fetch readiness and metrics of all children, for an answer of the admin port."""
        await asyncio.gather(*(child.refresh() for child in self._children if child.is_alive))

    async def _drift_page(self) -> bytes:
        """What differed in the callbacks of all children that serve; what those before them had is gone with them."""
        serving = [child for child in self._children if child.is_accepting]
        reports = await asyncio.gather(*(child.drift() for child in serving))
        return msgspec.json.encode(merged(filter(None, reports), silent=reports.count(None)))


def _socket_folder(children: int) -> tempfile.TemporaryDirectory[str]:
    """A new folder, of ours alone, for the sockets of so many children; elsewhere where TMPDIR is too deep for them.

    Raises:
        OSError: there is no place for it.
    """
    for place in (tempfile.gettempdir(), *SHORT_PLACES):
        with contextlib.suppress(OSError):
            folder = tempfile.TemporaryDirectory(prefix="bridge-", dir=place)
            if len(os.fsencode(admin_socket(Path(folder.name), children - 1))) <= SOCKET_PATH_BYTES:
                return folder
            folder.cleanup()
    raise OSError(
        errno.ENAMETOOLONG,
        f"the path of {tempfile.gettempdir()} is too long for sockets, and {', '.join(SHORT_PLACES)} cannot be written:"
        " set TMPDIR to a folder with a shorter one",
    )


class MergedMetrics(Collector):
    """The children's metrics, each sample with the label `process`."""

    def __init__(self, children: Sequence[ChildProcess]) -> None:
        self._children = children

    def collect(self) -> Iterator[Metric]:
        """The metrics as they were at the last refresh of each child."""
        merged: dict[str, Metric] = {}
        for child in self._children:
            for family in text_string_to_metric_families(child.metrics):
                metric = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    metric.add_sample(sample.name, {**sample.labels, "process": str(child.number)}, sample.value)
        return iter(merged.values())
