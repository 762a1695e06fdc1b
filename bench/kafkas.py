"""The brokers that the servers are measured on: a real one, and the embedded one of `bridge dev`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from bench.cores import OTHERS, pinned
from tests.support.broker import Broker
from tests.support.topic import create_topic


class Kafka(Protocol):
    """A broker beside the servers, not among them."""

    name: str

    @property
    def bootstrap(self) -> str:
        """Its address, another one after `restart`."""

    def create_topic(self, topic: str, partitions: int) -> None:
        """Make a topic."""

    def freeze(self) -> None:
        """Stop the broker as SIGSTOP does: connections stay open and nothing answers."""

    def thaw(self) -> None:
        """Let the broker go on after `freeze`."""

    def restart(self) -> object:
        """Start it anew: a node that slept long has its sessions to sort out."""


class RealKafka:
    """Apache Kafka, one node.

    Args:
        folder: where its data are.
    """

    name = "Apache Kafka"

    def __init__(self, folder: Path) -> None:
        # A child of ours is bound to its cores, and its CPU time is told from that of others. A container is neither.
        os.environ["IM_BRIDGE_BROKER"] = "jvm"
        self.broker = Broker(folder / "broker").start()
        self.max_partitions: int | None = None
        self.freeze, self.thaw, self.restart = self.broker.freeze, self.broker.thaw, self.broker.restart

    @property
    def bootstrap(self) -> str:
        """Its address, `host:port`."""
        return self.broker.bootstrap

    def create_topic(self, topic: str, partitions: int) -> None:
        """Make a topic, of `max_partitions` at most."""
        create_topic(self.bootstrap, topic, partitions=min(partitions, self.max_partitions or partitions))

    def close(self) -> None:
        """End the broker, and remove its data."""
        self.broker.close()


class EmbeddedKafka:
    """librdkafka's mock cluster in a process of its own. Topics appear on first use, with four partitions."""

    name = "the embedded broker"

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        with pinned(OTHERS):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bridge.devstack.embedded"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdout
        self.bootstrap = self._process.stdout.readline().split()[-1]

    def create_topic(self, topic: str, partitions: int) -> None:
        """Do nothing: a topic appears on first use."""

    def freeze(self) -> None:
        """Stop its process: connections stay open and nothing answers."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its process go on after `freeze`."""
        os.kill(self._process.pid, signal.SIGCONT)

    def restart(self) -> None:
        """End it and start another, with another address and no records."""
        self.close()
        self._start()

    def close(self) -> None:
        """End its process."""
        self._process.communicate()


@contextmanager
def real_kafka(folder: Path) -> Iterator[RealKafka]:
    """A broker on the other cores."""
    with pinned(OTHERS):
        kafka = RealKafka(folder)
    try:
        yield kafka
    finally:
        kafka.close()


@contextmanager
def embedded_kafka(_folder: Path) -> Iterator[EmbeddedKafka]:
    """An embedded broker on the other cores."""
    kafka = EmbeddedKafka()
    try:
        yield kafka
    finally:
        kafka.close()


KAFKAS: dict[str, Callable[[Path], AbstractContextManager[Kafka]]] = {"real": real_kafka, "embedded": embedded_kafka}
