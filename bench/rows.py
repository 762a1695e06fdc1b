"""The servers that are compared, each a row of the table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.cores import SERVER, TWO, pinned
from bench.kafkas import Kafka
from tests.support.commands import IngressProcess
from tests.support.http import answers
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.topic import Topics

ROOT = Path(__file__).parents[1]
PARTITIONS = 12
DAY_S = 86_400
START_S = 180.0


@dataclass
class Running:
    """A server that answers."""

    process: Process
    port: int


class Start(Protocol):
    """Starts a server, logs in `folder`. `under` is a command line to run it with, `settings` are for the bridge."""

    def __call__(
        self, folder: Path, kafka: Kafka, under: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> Running: ...


@dataclass(frozen=True)
class ServerRow:
    """A server, and the state that Kafka is in."""

    name: str
    start: Start
    cores: frozenset[int] = frozenset(SERVER)
    frozen: bool = False
    """Whether the broker is stopped while it is measured."""

    @property
    def is_plain(self) -> bool:
        """Whether it is one process with Kafka healthy."""
        return not self.frozen and self.name != TWO_PROCESSES

    def is_named(self, parts: Sequence[str]) -> bool:
        """Whether its name contains one of these, or there are none."""
        return not parts or any(part in self.name for part in parts)


def _script(module: str) -> Start:
    def start(
        folder: Path, kafka: Kafka, under: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> Running:
        del settings
        port = free_port()
        topics = Topics.unique()
        kafka.create_topic(topics.events, PARTITIONS)
        env = {"PYTHONPATH": str(ROOT), "BENCH_BOOTSTRAP": kafka.bootstrap, "BENCH_TOPIC": topics.events}
        command = [*under, sys.executable, "-m", module, str(port)]
        process = Process(command, log=folder / f"{module}.log", env=env).start()
        process.wait_for(lambda: _listens(port), timeout=START_S, what="an answer")
        return Running(process, port)

    return start


AS_SERVED = {"BRIDGE_REPLY_DEADLINE_MS": "500", "BRIDGE_CLOCK_SKEW_S": str(DAY_S)}
"""The reply deadline that users have, and callbacks that were signed within a day."""


def _bridge(workers: int) -> Start:
    def start(
        folder: Path, kafka: Kafka, under: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> Running:
        topics = Topics.unique()
        kafka.create_topic(topics.events, PARTITIONS)
        kafka.create_topic(topics.dlq, 1)
        place = folder / topics.events
        place.mkdir()
        env = {**AS_SERVED, "BRIDGE_WORKERS": str(workers), **(settings or {})}
        ingress = IngressProcess(place, kafka.bootstrap, topics, **env)
        ingress.command = [*under, *([sys.executable] if under else []), *ingress.command]
        ingress.start_ready(START_S)
        ingress.wait_for(lambda: ingress.metric("bridge_kafka_ok") == workers, timeout=START_S, what="Kafka")
        return Running(ingress, ingress.port)

    return start


def start_ingress(folder: Path, bootstrap: str, topics: Topics) -> IngressProcess:
    """One ingress on the server's core, its journal in `folder`; it takes callbacks that were signed within a day."""
    place = folder / "ingress"
    place.mkdir()
    ingress = IngressProcess(place, bootstrap, topics, **AS_SERVED)
    with pinned(SERVER):
        return ingress.start_ready(START_S)


def _listens(port: int) -> bool:
    return any(answers(f"http://127.0.0.1:{port}/", status) for status in (200, 405, 403))


FLOOR = "aiohttp, no-op handler (the floor)"
BRIDGE = "im-bridge"
TWO_PROCESSES = "im-bridge, two processes"

ROWS = (
    ServerRow(FLOOR, _script("bench.servers.noop")),
    ServerRow("naive: aiohttp + aiokafka", _script("bench.servers.naive_aiohttp")),
    ServerRow("naive: FastAPI + uvicorn + aiokafka", _script("bench.servers.naive_fastapi")),
    ServerRow(BRIDGE, _bridge(1)),
    ServerRow("im-bridge, Kafka frozen", _bridge(1), frozen=True),
    ServerRow(TWO_PROCESSES, _bridge(2), cores=frozenset(TWO)),
)


def start(row: ServerRow, folder: Path, kafka: Kafka) -> Running:
    """Start the server of a row on its cores."""
    with pinned(set(row.cores)):
        return row.start(folder, kafka)
