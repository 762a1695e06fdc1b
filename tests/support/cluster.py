"""A real Kafka of three combined nodes on the JVM: a record is confirmed when two of them have it."""

from __future__ import annotations

import base64
import shutil
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support import broker as brokers
from tests.support import kafka_jvm
from tests.support.broker import Broker, NoBrokerError
from tests.support.ports import free_port
from tests.support.server import Host
from tests.support.topic import serves
from tests.support.waiting import wait_until

SIZE = 3

_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "replica.lag.time.max.ms": "3000",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.election.timeout.ms": "500",
    # As broker.session.timeout.ms, with room for three nodes on a small machine.
    "broker.session.timeout.ms": "3000",
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
}


class Node(Broker):
    """One node of a `Cluster`."""

    def __init__(self, folder: Path, number: int, voters: dict[int, int]) -> None:
        self.number = number
        self.rack = f"rack-{number}"
        self.controller_port = voters[number]
        super().__init__(
            folder,
            extra_properties={
                **_REPLICATED,
                "node.id": str(number),
                "broker.rack": self.rack,
                "controller.quorum.voters": ",".join(f"{one}@127.0.0.1:{port}" for one, port in voters.items()),
            },
        )
        self.extra_properties["listeners"] = (
            f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}"
        )

    def launch(self) -> None:
        """Start it without waiting for the others, without which it serves nobody."""
        self._host = self._host or self._create()
        self._host.start()

    def wait_ready(self) -> None:
        """Wait until it serves clients."""
        self._wait_ready()

    def _create(self) -> Host:
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        if not data.exists():
            shutil.copytree(kafka_jvm.formatted(), data)
            identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            (data / "meta.properties").write_text(
                f"version=1\ncluster.id={kafka_jvm.CLUSTER}\nnode.id={self.number}\ndirectory.id={identity}\n"
            )
        return super()._create()

    def _ready(self) -> bool:
        return serves(self.bootstrap)


class Cluster:
    """Three nodes, each of which can be hurt as a `Broker` can.

    The constructor raises NoBrokerError where Kafka cannot run on the JVM.
    """

    def __init__(self, folder: Path) -> None:
        if brokers.choose() != "jvm":
            raise NoBrokerError("three nodes are only run on the JVM: set IM_BRIDGE_BROKER=jvm")
        voters = {number: free_port() for number in range(1, SIZE + 1)}
        self.nodes = [Node(folder / f"node-{number}", number, voters) for number in voters]

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes."""
        return ",".join(node.bootstrap for node in self.nodes)

    def wait_whole(self) -> None:
        """Wait until every replica of every partition is in sync."""
        wait_until(self._whole, timeout=90, every=0.1, what="all replicas in sync")

    def _whole(self) -> bool:
        try:
            found = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=2)
        except KafkaException:
            return False
        partitions = [partition for topic in found.topics.values() for partition in topic.partitions.values()]
        return len(found.brokers) == SIZE and all(len(one.isrs) == SIZE for one in partitions)

    def close(self) -> None:
        """Kill all and leave nothing behind."""
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_ready()
        self.wait_whole()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
