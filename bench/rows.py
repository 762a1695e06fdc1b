"""The servers that are compared, each a row of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.cores import SERVER, pinned
from bench.kafkas import Kafka
from bench.toolchains import BuildError, go_server, rust_server
from tests.support.commands import IngressProcess
from tests.support.http import answers
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.topic import Topics

ROOT = Path(__file__).parents[1]
PARTITIONS = 12
START_S = 180.0


@dataclass
class Running:
    """A server that answers."""

    process: Process
    port: int
    topic: str
    """Where its events go, if it publishes any."""

    @property
    def pid(self) -> int:
        """The process that answers callbacks: the child of the command's own, if that has one."""
        return next(iter(self.process.children()), self.process.pid)


class Start(Protocol):
    """Starts a server, logs in `folder`. `under` is a command line to run it with, `settings` are for the bridge."""

    def __call__(
        self, folder: Path, kafka: Kafka, under: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> Running: ...


@dataclass(frozen=True)
class ServerRow:
    """A server to be measured."""

    name: str
    start: Start
    cores: frozenset[int] = frozenset(SERVER)
    publishes: bool = True
    """Whether its events go to Kafka."""
    build: Callable[[], object] | None = None
    """Compiles it; raises BuildError."""

    def is_named(self, parts: Sequence[str]) -> bool:
        """Whether its name contains one of these, or there are none."""
        return not parts or any(part in self.name for part in parts)


def _script(module: str) -> Start:
    return _program(lambda: (sys.executable, "-m", module), module)


def _program(command: Callable[[], Sequence[str | Path]], log: str) -> Start:
    def start(
        folder: Path, kafka: Kafka, under: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> Running:
        del settings
        port = free_port()
        topics = Topics.unique()
        kafka.create_topic(topics.events, PARTITIONS)
        env = {"PYTHONPATH": str(ROOT), "BENCH_BOOTSTRAP": kafka.bootstrap, "BENCH_TOPIC": topics.events}
        process = Process([*under, *command(), str(port)], log=folder / f"{log}.log", env=env).start()
        process.wait_for(lambda: _listens(port), timeout=START_S, what="an answer")
        return Running(process, port, topics.events)

    return start


AS_SERVED = {"BRIDGE_REPLY_DEADLINE_MS": "500"}
"""The reply deadline that users have."""


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
        ingress.wait_for(lambda: ingress.metric("bridge_process_kafka_ok") == workers, timeout=START_S, what="Kafka")
        return Running(ingress, ingress.port, topics.events)

    return start


def start_ingress(folder: Path, bootstrap: str, topics: Topics) -> IngressProcess:
    """One ingress on the server's core, its journal in `folder`."""
    place = folder / "ingress"
    place.mkdir()
    ingress = IngressProcess(place, bootstrap, topics, **AS_SERVED)
    with pinned(SERVER):
        return ingress.start_ready(START_S)


def _listens(port: int) -> bool:
    return any(answers(f"http://127.0.0.1:{port}/", status) for status in (200, 403, 405))


FLOOR = "aiohttp, no-op (the floor)"
NAIVE = "naive: aiohttp + aiokafka"
BRIDGE = "im-bridge"

ROWS = (
    ServerRow("httptools + uvloop, no-op (the limit of Python)", _script("bench.servers.limit"), publishes=False),
    ServerRow(FLOOR, _script("bench.servers.noop"), publishes=False),
    ServerRow(
        "by hand in Go: fasthttp + franz-go", _program(lambda: (go_server(), "fast"), "go-fasthttp"), build=go_server
    ),
    ServerRow(
        "by hand in Go: net/http + franz-go", _program(lambda: (go_server(), "net"), "go-net-http"), build=go_server
    ),
    ServerRow("by hand in Rust: hyper + librdkafka", _program(lambda: (rust_server(),), "rust"), build=rust_server),
    ServerRow(BRIDGE, _bridge(1)),
    ServerRow(NAIVE, _script("bench.servers.naive_aiohttp")),
    ServerRow("naive: FastAPI + uvicorn + aiokafka", _script("bench.servers.naive_fastapi")),
)
SCALED_ROWS = {number: ServerRow(f"{BRIDGE}, {number} processes", _bridge(number)) for number in (1, 2, 4)}
"""By number of processes."""


def chosen(only: Sequence[str], say: Callable[[str], None]) -> list[ServerRow]:
    """The floor, and the rows whose name contains one of these (all if there are none) as far as they can be built."""
    rows = []
    for row in ROWS:
        if row.name != FLOOR and not row.is_named(only):
            continue
        try:
            if row.build is not None:
                row.build()
        except BuildError as error:
            say(f"left out: {row.name}: {error}")
        else:
            rows.append(row)
    return rows


def start(row: ServerRow, folder: Path, kafka: Kafka) -> Running:
    """Start the server of a row on its cores."""
    with pinned(set(row.cores)):
        return row.start(folder, kafka)
