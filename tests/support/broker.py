"""A real Kafka of one node: a container where Docker runs, else the same release on the JVM, from Maven artifacts."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal

from tests.support import kafka_jvm
from tests.support.container import Container, docker_answers, pull
from tests.support.ports import free_port
from tests.support.server import Host, Server
from tests.support.topic import serves

Flavour = Literal["docker", "jvm"]
IMAGE = os.environ.get("IM_BRIDGE_KAFKA_IMAGE", f"apache/kafka:{kafka_jvm.VERSION}")
_DOCKER_DATA = "/var/lib/kafka/data"  # a volume of the image, so that another container can take it over

_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "default.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # The default of 9 s is how long a restart after SIGKILL would wait for its own old session.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    # Tests write records of long ago. Nothing takes them away while they are looked at.
    "log.retention.check.interval.ms": "86400000",
    "log.initial.task.delay.ms": "86400000",
    # The default of 128 MB is allocated at the start.
    "log.cleaner.dedupe.buffer.size": "4194304",
}


class NoBrokerError(Exception):
    """No real Kafka can be run here; the message says why."""


class Broker(Server):
    """Apache Kafka in KRaft mode, its data under `folder` (JVM) or in a volume (Docker).

    `extra_properties` are added to the server properties. `extra_listeners` maps a security protocol (`SASL_SSL`) to
    the port of 127.0.0.1 where it is offered besides PLAINTEXT; what that protocol needs goes into `extra_properties`.
    The constructor raises NoBrokerError.
    """

    def __init__(
        self,
        folder: Path,
        *,
        extra_properties: Mapping[str, str] | None = None,
        extra_listeners: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.flavour = choose()
        self.port = free_port()
        self.folder = folder
        self.extra_properties = dict(extra_properties or {})
        self.extra_listeners = dict(extra_listeners or {})
        self._retired: list[Host] = []

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT` of the PLAINTEXT listener."""
        return f"127.0.0.1:{self.port}"

    def move(self) -> None:
        """Take another port, with the same data, from the next start on. It must not be running."""
        assert self._host, "a broker that was never started has nothing to move"
        assert not self.running, "stop or kill the broker before it moves"
        self._retired.append(self._host)
        self._host = None
        self.port = free_port()

    def close(self) -> None:
        """Kill it and leave nothing behind; may be called at any time, more than once."""
        super().close()
        while self._retired:
            self._retired.pop().close()

    def _create(self) -> Host:
        listeners = {"PLAINTEXT": self.port, **self.extra_listeners}
        if self.flavour == "jvm":
            self.folder.mkdir(parents=True, exist_ok=True)
            return kafka_jvm.broker_process(self.folder, {**_properties(listeners), **self.extra_properties})
        properties = {**_properties(listeners, address="0.0.0.0"), "log.dirs": _DOCKER_DATA, **self.extra_properties}
        env = {_docker_name(name): value for name, value in properties.items()}
        data_of = self._retired[-1] if self._retired else None
        assert data_of is None or isinstance(data_of, Container)
        return Container(
            IMAGE,
            ports=list(listeners.values()),
            env={**env, "CLUSTER_ID": kafka_jvm.CLUSTER, "KAFKA_HEAP_OPTS": "-Xmx256m"},
            data_of=data_of,
        )

    def _ready(self) -> bool:
        return serves(self.bootstrap)


def choose() -> Flavour:
    """How to run a real Kafka here, all downloads done: Docker if an engine answers, else the JVM.

    IM_BRIDGE_BROKER (`docker` or `jvm`) allows only that one. Raises NoBrokerError.
    """
    flavour, reason = _choice()
    if flavour is None:
        raise NoBrokerError(reason)
    return flavour


def description() -> str:
    """What the brokers of the tests are, for a person. Raises NoBrokerError."""
    return f"the image {IMAGE}" if choose() == "docker" else f"Apache Kafka {kafka_jvm.VERSION} from Maven, on the JVM"


@cache
def _choice() -> tuple[Flavour | None, str]:
    forced = os.environ.get("IM_BRIDGE_BROKER")
    reasons = []
    for flavour in FLAVOURS:
        if forced in {flavour, None, ""}:
            try:
                _PREPARE[flavour]()
            except NoBrokerError as reason:
                reasons.append(f"{flavour}: {reason}")
            else:
                return flavour, ""
    return None, "; ".join(reasons) or f"IM_BRIDGE_BROKER={forced}, but it may be only {' or '.join(FLAVOURS)}"


def _prepare_docker() -> None:
    if not docker_answers():
        raise NoBrokerError("no engine answers")
    try:
        pull(IMAGE)
    except Exception as error:
        raise NoBrokerError(f"{IMAGE} cannot be pulled ({error})") from error


def _prepare_jvm() -> None:
    if lacking := kafka_jvm.missing():
        raise NoBrokerError(lacking)
    port = free_port()
    try:
        kafka_jvm.install(_properties({"PLAINTEXT": port}), port)
    except RuntimeError as error:
        raise NoBrokerError(str(error)) from error


FLAVOURS: Final[tuple[Flavour, ...]] = ("docker", "jvm")
_PREPARE: Final[dict[Flavour, Callable[[], None]]] = {"docker": _prepare_docker, "jvm": _prepare_jvm}


def _properties(listeners: Mapping[str, int], address: str = "127.0.0.1") -> dict[str, str]:
    controller = free_port()
    bound = {**listeners, "CONTROLLER": controller}
    return {
        **_PROPERTIES,
        "listeners": ",".join(f"{name}://{address}:{port}" for name, port in bound.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()),
        "listener.security.protocol.map": ",".join(["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in listeners)]),
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
    }


def _docker_name(name: str) -> str:
    """The variable by which the image takes a server property."""
    return "KAFKA_" + name.replace("-", "___").replace("_", "__").replace(".", "_").upper()
