"""The whole system, as it is hurt: brokers, Redis, the ingress, a worker and the audit, each a process of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bridge.journal.lock import lock_holder
from tests.support import strace
from tests.support.audit_judge import OFTEN_S, AuditProcess
from tests.support.broker import Broker
from tests.support.cluster import Cluster
from tests.support.commands import IngressProcess, WorkerProcess
from tests.support.disk import can_mount, mount, unmount
from tests.support.redis import RedisServer
from tests.support.topic import Topics, create_topic
from tests.support.waiting import wait_until
from tests.torture.schedule import Fault

DISK_BYTES = 48 * 1024 * 1024
SAMPLE_INTERVAL_S = 0.2
RELOADED = 0
"""Several processes may serve at the same time, however many there are to be."""


class HealthSample(NamedTuple):
    """What the ingress told of itself at a time (monotonic clock)."""

    at: float
    kafka_ok: bool
    """Whether Kafka confirms what every process sends."""
    held_bytes: float


class Stage:
    """Everything of one run, started and stopped as a context.

    Args:
        folder: for data and logs.
        brokers: 1 or 3.
        workers: processes of the ingress at first.
    """

    def __init__(self, folder: Path, *, brokers: int, workers: int) -> None:
        self.folder = folder
        self.topics = Topics.unique()
        self.kafka: Broker | Cluster = Broker(folder / "broker") if brokers == 1 else Cluster(folder / "brokers")
        self.redis = RedisServer(folder / "redis")
        self.disk = folder / "disk"
        for name in ("disk", "ingress", "worker", "audit", "tmp"):
            (folder / name).mkdir(parents=True)
        self.ingress = IngressProcess(
            folder / "ingress",
            self.kafka.bootstrap,
            self.topics,
            BRIDGE_JOURNAL_DIR=str(self.disk / "journal"),
            BRIDGE_ADOPT_INTERVAL_S="2",
            BRIDGE_AUDIT_INTERVAL_S=OFTEN_S,
            BRIDGE_KAFKA_STALL_S="5",
            BRIDGE_REPLY_DEADLINE_MS="500",
            TMPDIR=str(folder / "tmp"),  # A killed supervisor leaves its folder there.
        )
        self.journal_dir = self.disk / "journal"
        self.settings_file = folder / "ingress" / ".env"
        self.worker = WorkerProcess(
            folder / "worker",
            self.kafka.bootstrap,
            self.topics,
            self.redis.url,
            CONSUMERS_SESSION_TIMEOUT_MS="6000",
            CONSUMERS_GROUP_INSTANCE_ID="torture",
        )
        self.audit = AuditProcess(folder / "audit", self.kafka.bootstrap, self.topics)
        self.phases: list[tuple[float, int]] = []
        """When the ingress was started (monotonic clock) with how many processes; `RELOADED` from a reload on."""
        self.cut_bytes = 0
        """Bytes of journals that power cuts have taken."""
        self.samples: list[HealthSample] = []
        self._workers = workers
        self._stack = ExitStack()
        self._ended = threading.Event()

    @property
    def brokers(self) -> list[Broker]:
        """The brokers that a fault can be done to."""
        return list(self.kafka.nodes) if isinstance(self.kafka, Cluster) else [self.kafka]

    @property
    def processes(self) -> list[int]:
        """The processes of the ingress that answer callbacks, and not the one that checks settings."""
        return [pid for pid in self.ingress.children() if b"--check" not in _command_line(pid)]

    def start_ingress(self, workers: int | None = None) -> None:
        """Start it again; it is alive at the return, and ready when disk or Kafka are."""
        self.set_workers(workers or self._workers)
        self.phases.append((time.monotonic(), self._workers))
        self.ingress.start()
        self.ingress.wait_for_http(f"{self.ingress.admin_url}/healthz", timeout=30)

    def set_workers(self, workers: int, *, further: str = "") -> None:
        """Write the settings that a start or a reload reads, with further lines."""
        self._workers = workers
        self.settings_file.write_text(f"BRIDGE_WORKERS={workers}\n{further}")

    def reload(self) -> None:
        """Ask for a reload."""
        self.phases.append((time.monotonic(), RELOADED))
        os.kill(self.ingress.pid, signal.SIGHUP)

    def wait_reloaded(self, is_done: object, *, timeout: float) -> None:
        """Wait until a new process takes the place of one, or until all is done, or for no longer than that."""
        words = b"reload: done" if is_done else b"another process accepts"
        before = self.ingress.log.read_bytes().count(words)
        with suppress(TimeoutError):
            wait_until(lambda: self.ingress.log.read_bytes().count(words) > before, timeout=timeout, what="the reload")

    def wait_drained(self, timeout: float) -> None:
        """Wait until nothing that was acknowledged is anywhere but on the topic."""

        def drained() -> bool:
            try:
                return len(self.journals()) <= self._workers and _held(self.ingress) == 0
            except (OSError, ValueError):  # It has only just been started again, after the last fault.
                return False

        wait_until(drained, timeout=timeout, every=0.1, what=lambda: f"the journals empty\n{self.ingress.tail()}")

    def journals(self) -> list[Path]:
        """The journal files that there are."""
        return sorted(self.journal_dir.glob("*.journal"))

    def journals_are_owned(self) -> bool:
        """Whether a living process has each of them open."""
        try:
            return all(lock_holder(path) is not None for path in self.journals())
        except FileNotFoundError:  # It is drained just now.
            return False

    def holds_removed_journals(self) -> bool:
        """Whether a process has journals, or its ledger, open that are not in their folder any more."""
        return any(
            target.startswith(f"{self.journal_dir}/") and target.endswith((".journal (deleted)", ".ledger (deleted)"))
            for pid in self.processes
            for target in _open_files(pid)
        )

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_INTERVAL_S):
            try:
                confirmed = [one.value for one in self.ingress.samples() if one.name == "bridge_kafka_ok"]
                held = _held(self.ingress)
            except (OSError, ValueError):
                continue
            self.samples.append(HealthSample(time.monotonic(), bool(confirmed) and all(confirmed), held))

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _start(self) -> None:
        if can_mount():
            mount(self.disk, size_bytes=DISK_BYTES)
            self._stack.callback(unmount, self.disk)
        self._stack.enter_context(self.kafka)
        self._stack.enter_context(self.redis)
        self.topics.create(self.kafka.bootstrap, replicas=len(self.brokers))
        compact = {"cleanup.policy": "compact"}
        create_topic(self.kafka.bootstrap, self.topics.audit, partitions=1, replicas=len(self.brokers), config=compact)
        for command in (self.ingress, self.worker, self.audit):
            self._stack.callback(command.close)
        self.start_ingress()
        self.ingress.wait_ready()
        self.worker.start_ready()
        self.audit.start_ready()
        sampler = threading.Thread(target=self._sample, daemon=True)
        sampler.start()
        self._stack.callback(sampler.join)
        self._stack.callback(self._ended.set)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _open_files(pid: int) -> Iterator[str]:
    with suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                yield str(descriptor.readlink())


def _held(ingress: IngressProcess) -> float:
    found = [one for one in ingress.samples() if one.name in {"bridge_journal_bytes", "bridge_memory_bytes"}]
    if not found:
        raise ValueError("no process answers")
    return sum(one.value for one in found)


def possible() -> tuple[frozenset[Fault], str]:
    """The faults that can be made here, and why not the others."""
    lacking = {}
    if not can_mount():
        lacking[Fault.FILL_DISK] = "a small file system cannot be mounted here"
    if not strace.is_installed():
        lacking[Fault.SLOW_DISK] = "strace is not installed"
    return frozenset(Fault) - lacking.keys(), "; ".join(f"no “{fault}”: {why}" for fault, why in lacking.items())
